// Reports to the server that the promoted post was really seen: half of it on the screen for one second, the page in front.
// Who clicks it has seen it too, and a click counts only after its view; so the report goes first.
const ad = document.querySelector("[data-view]");
if (ad) {
  let isReported = false;
  const report = () => {
    isReported = true;
    return fetch(ad.dataset.view, { method: "POST", keepalive: true }).catch(() => {});
  };
  if ("IntersectionObserver" in window) {
    let timer;
    const observer = new IntersectionObserver(([entry]) => {
      clearTimeout(timer);
      if (entry.isIntersecting && document.visibilityState === "visible") {
        timer = setTimeout(() => {
          observer.disconnect();
          if (!isReported) report();
        }, 1000);
      }
    }, { threshold: 0.5 });
    observer.observe(ad);
  }
  const link = ad.querySelector("a[rel~=sponsored]");
  link.addEventListener("click", event => {
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (isReported || !isPlain) return;
    event.preventDefault();
    report().then(() => location.assign(link.href));
  });
}
