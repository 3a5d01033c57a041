// Forms with `data-passkey`: asks the dashboard for a challenge and the browser for a passkey, then sends the form.
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

// JSON has no bytes: they travel as base64url (WebAuthn level 3, §5.1.8).
function understood(options) {
  const known = { ...options, challenge: bytes(options.challenge) };
  if (options.user) known.user = { ...options.user, id: bytes(options.user.id) };
  for (const list of ["allowCredentials", "excludeCredentials"]) {
    if (options[list]) known[list] = options[list].map((one) => ({ ...one, id: bytes(one.id) }));
  }
  return known;
}

function written(credential) {
  const response = {};
  for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[part]) response[part] = text(credential.response[part]);
  }
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  };
}

async function answered(form) {
  const sent = new URLSearchParams(new FormData(form));
  const reply = await fetch(form.dataset.passkey, { method: "POST", body: sent });
  if (!reply.ok) throw new Error(`The dashboard refused (${reply.status}). Load the page again.`);
  const { flow, options } = await reply.json();
  const publicKey = understood(options.publicKey);
  const made = publicKey.user ? navigator.credentials.create({ publicKey }) : navigator.credentials.get({ publicKey });
  form.elements.flow.value = flow;
  form.elements.answer.value = JSON.stringify(written(await made));
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const alert = form.querySelector("[role=alert]");
    alert.hidden = true;
    answered(form)
      .then(() => form.submit())
      .catch((error) => {
        alert.textContent = error.name === "NotAllowedError" ? "The browser gave no passkey." : error.message;
        alert.hidden = false;
      });
  });
}
