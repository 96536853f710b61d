// What the pages can do without, added where a script runs: the answer beside the posts, the
// reader's time zone, suggestions while typing, and the report that the promoted post was seen.

// The answer is asked for once the posts are there; its page holds it.
const asked = document.querySelector("[data-answer]");
if (asked) {
  fetch(asked.dataset.answer)
    .then(response => response.ok ? response.text() : "")
    .then(text => new DOMParser().parseFromString(text, "text/html").querySelector(".answer"))
    .then(answer => answer ? asked.replaceWith(document.adoptNode(answer)) : asked.remove())
    .catch(() => asked.remove());
}

// Days begin where the reader lives.
const form = document.querySelector("form.search");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (form && zone && zone !== "UTC" && !form.elements.zone) {
  const field = document.createElement("input");
  Object.assign(field, { type: "hidden", name: "zone", value: zone });
  form.append(field);
}

// Suggestions complete the last word: a combobox as the ARIA Authoring Practices describe it.
const box = document.querySelector("[data-suggest]");
if (box) {
  const list = document.createElement("ul");
  Object.assign(list, { id: "suggestions", className: "suggestions", hidden: true, role: "listbox", ariaLabel: "Suggestions" });
  box.parentElement.append(list);
  box.setAttribute("role", "combobox");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-controls", list.id);
  let chosen = -1, timer;

  const show = isOpen => {
    list.hidden = !isOpen;
    box.setAttribute("aria-expanded", isOpen);
    if (!isOpen) choose(-1);
  };
  const choose = place => {
    chosen = place;
    [...list.children].forEach((option, n) => option.setAttribute("aria-selected", n === place));
    if (place < 0) box.removeAttribute("aria-activedescendant");
    else box.setAttribute("aria-activedescendant", list.children[place].id);
  };
  const take = place => {
    box.value = box.value.replace(/\S*$/, list.children[place].textContent + " ");
    show(false);
    box.focus();
  };
  const fill = words => {
    list.replaceChildren(...words.map((word, n) => {
      const option = document.createElement("li");
      Object.assign(option, { id: `suggestion-${n}`, role: "option", textContent: word, dir: "auto", ariaSelected: "false" });
      option.addEventListener("mousedown", event => { event.preventDefault(); take(n); });
      return option;
    }));
    show(words.length > 0);
  };
  const ask = () => {
    const typed = box.value, word = /\S*$/.exec(typed)[0];
    if (word.length < 2) return show(false);
    fetch(`${box.dataset.suggest}?q=${encodeURIComponent(word)}`)
      .then(response => response.ok ? response.json() : { suggestions: [] })
      .then(found => { if (box.value === typed && document.activeElement === box) fill(found.suggestions); })
      .catch(() => show(false));
  };
  show(false);
  box.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
  box.addEventListener("blur", () => show(false));
  box.addEventListener("keydown", event => {
    const count = list.children.length;
    if (list.hidden || !count) return;
    if (event.key === "ArrowDown") choose((chosen + 1) % count);
    else if (event.key === "ArrowUp") choose(chosen < 0 ? count - 1 : chosen - 1);
    else if (event.key === "Escape") show(false);
    else if (event.key === "Enter" && chosen >= 0) take(chosen);
    else return;
    event.preventDefault();
  });
}

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
