// Keeps the page's own files, so that it opens without a network: what the network has goes first, but for the runtime,
// whose files are never changed under one name. The weights are kept elsewhere (weights.js).
const KEPT = "repartee-page";

self.addEventListener("install", (event) => event.waitUntil((async () => {
  const settings = await (await fetch("settings.json")).json();
  await (await caches.open(KEPT)).addAll(settings.files.own);
  await self.skipWaiting();
})()));

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

const fromNetwork = async (request) => {
  const cache = await caches.open(KEPT);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(request, answer.clone());
    return answer;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
};

self.addEventListener("fetch", (event) => {
  const { request } = event, { origin, pathname } = new URL(request.url);
  if (origin !== location.origin || request.method !== "GET") return;
  const fixed = pathname.includes("/vendor/");
  event.respondWith(fixed ? caches.match(request).then((kept) => kept ?? fromNetwork(request)) : fromNetwork(request));
});
