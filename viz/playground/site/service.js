// Keeps the site and Pyodide on this machine, so that the page works offline once it has been loaded.
// All files of a page are of one version: a newer one is kept beside it, and waits.
"use strict";

const {version, files, pyodide} = %%KEPT%%;
const {scope} = self.registration;
const OURS = `playground ${scope} `;  // caches belong to a host, which may have other pages
const CACHE = OURS + version;
const release = new URL(pyodide, scope).href;
const needed = files.map(file => new URL(file, scope).href);

const older = async () => (await caches.keys()).filter(name => name.startsWith(OURS) && name !== CACHE);

self.addEventListener("install", event => event.waitUntil((async () => {
    if (self.registration.active) await keepAll();  // for a first visit the page itself fetches, below
})()));

self.addEventListener("activate", event => event.waitUntil((async () => {
    await Promise.all([self.clients.claim(), ...(await older()).map(name => caches.delete(name))]);
})()));

self.addEventListener("message", event => {
    if (event.data === "take over") self.skipWaiting();
    else if (event.data === "forget") event.waitUntil(caches.delete(CACHE));
    else event.waitUntil(keepRest());  // the page has loaded Python: what it asked before this worker was there is missing
});

async function keepRest() {
    const cache = await caches.open(CACHE);
    const there = new Set((await cache.keys()).map(({url}) => url));
    await cache.addAll(needed.filter(url => !there.has(url)));
}

// Keeps the files of a newer version, past the browser's own cache, which may have older ones.
async function keepAll() {
    const cache = await caches.open(CACHE);
    for (const name of release.startsWith(scope) ? [] : await older()) {  // a release elsewhere has a name of its own
        const old = await caches.open(name);
        for (const request of await old.keys()) {
            if (request.url.startsWith(release)) await cache.put(request, await old.match(request));
        }
    }
    await cache.addAll(needed.map(url => new Request(url, {cache: "no-cache"})));
}

self.addEventListener("fetch", event => {
    const {method, url} = event.request;
    if (method === "GET" && [scope, release].some(start => url.startsWith(start))) event.respondWith(answer(event));
});

// Scripts of other hosts are asked for in a way that makes their text unreadable here, and then not kept.
function readable({url, integrity}) {
    return new Request(url, {mode: "cors", credentials: "omit", integrity});
}

async function answer(event) {
    const cache = await caches.open(CACHE);
    const found = await cache.match(event.request, {ignoreSearch: true});
    if (found) return found;
    const fetched = await fetch(event.request.url.startsWith(scope) ? event.request : readable(event.request));
    if (fetched.ok) event.waitUntil(cache.put(event.request, fetched.clone()).catch(() => {}));  // a download cut off
    return fetched;
}
