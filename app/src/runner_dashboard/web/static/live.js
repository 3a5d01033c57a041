// Parts of a page with `data-live` stay as the fleet is: told of a change, the page is asked again, and those parts of it
// that differ take the place of the old ones. Nothing is replaced that somebody is working in.
"use strict";

const state = document.querySelector("[data-live-state]");
const said = (text) => {
  if (state && state.textContent !== text) state.textContent = text;
};

let asked = 0;
let waiting = false;

function busy(part) {
  const focus = document.activeElement;
  return focus && part.contains(focus) && focus.matches("input, select, textarea, summary, [open] *");
}

async function renewed() {
  const reply = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (!reply.ok) throw new Error(`answered ${reply.status || "elsewhere"}`);
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (!other || busy(part) || part.isEqualNode(other)) continue;
    // Links keep the focus that they had.
    const held = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.replaceWith(document.adoptNode(other));
    if (held) document.querySelector(`#${CSS.escape(other.id)} a[href="${CSS.escape(held)}"]`)?.focus();
  }
}

// One renewal at a time, and one more when something changed meanwhile.
async function renew() {
  waiting = true;
  if (asked) return;
  asked = 1;
  while (waiting) {
    waiting = false;
    try {
      await renewed();
      said("Live");
    } catch (error) {
      said(`Not live: the page ${error.message}. Load it again.`);
    }
  }
  asked = 0;
}

function watch() {
  const source = new EventSource("/live");
  let lost = false;
  source.addEventListener("hello", () => {
    said("Live");
    // What happened while nobody told us.
    if (lost) renew();
    lost = false;
  });
  source.addEventListener("change", renew);
  source.addEventListener("error", () => {
    lost = true;
    said("Not live: connecting again");
    // A refusal closes it for good; browsers come back by themselves from everything else.
    if (source.readyState === EventSource.CLOSED) setTimeout(watch, 10_000);
  });
  return source;
}

if (document.querySelector("[data-live]")) {
  let source = watch();
  // A page that nobody sees costs nobody anything.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source.close();
      said("Not live while it is hidden");
    } else if (source.readyState === EventSource.CLOSED) {
      source = watch();
      renew();
    }
  });
}
