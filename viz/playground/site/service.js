// Keeps the site and Pyodide on this machine, so that the page works offline once it has been loaded.
"use strict";

const {version, files, pyodide} = %%KEPT%%;
const {scope} = self.registration;
const OURS = `playground ${scope} `;  // caches belong to a host, which may have other pages
const CACHE = OURS + version;
const kept = [scope, new URL(pyodide, scope).href];

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("activate", event => event.waitUntil((async () => {
    const old = (await caches.keys()).filter(name => name.startsWith(OURS) && name !== CACHE);
    await Promise.all([self.clients.claim(), ...old.map(name => caches.delete(name))]);
})()));

// The page sends a message when it has its first picture: what it loaded before this worker was there is kept then.
self.addEventListener("message", event => event.waitUntil(
    caches.open(CACHE).then(cache => cache.addAll(files.map(file => new URL(file, scope).href)))));

self.addEventListener("fetch", event => {
    const {method, url} = event.request;
    if (method === "GET" && kept.some(start => url.startsWith(start))) event.respondWith(answer(event.request));
});

async function answer(request) {
    const cache = await caches.open(CACHE);
    const found = await cache.match(request, {ignoreSearch: true});
    if (found) return found;
    const answer = await fetch(request);
    if (answer.ok) await cache.put(request, answer.clone());
    return answer;
}
