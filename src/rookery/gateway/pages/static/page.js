// Reports to the server that the promoted post was really seen: half of it on the screen for one second, the page in front.
const ad = document.querySelector("[data-view]");
if (ad && "IntersectionObserver" in window) {
  let timer;
  const observer = new IntersectionObserver(([entry]) => {
    clearTimeout(timer);
    if (entry.isIntersecting && document.visibilityState === "visible") {
      timer = setTimeout(() => {
        observer.disconnect();
        fetch(ad.dataset.view, { method: "POST", keepalive: true }).catch(() => {});
      }, 1000);
    }
  }, { threshold: 0.5 });
  observer.observe(ad);
}
