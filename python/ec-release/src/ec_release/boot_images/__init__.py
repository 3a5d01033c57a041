"""Boot images: which there are, building each twice, and the files that are published.

targets.py  what can be built, as data, and what of it is wanted
release.py  the tag, the version and the names that follow from a commit
errors.py   what can go wrong
fresh.py    which derivations are really built, whatever a cache has
store.py    one fresh store: fetch what may be fetched, build the rest
compare.py  two stores side by side
pack.py     the published file
build.py    puts it together: what `ec-release build` does
"""
