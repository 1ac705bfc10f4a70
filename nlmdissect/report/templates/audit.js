"use strict";
(function () {
  const all = (what, where) => Array.from((where || document).querySelectorAll(what));
  const byId = (id) => document.getElementById(id);

  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    root.className = root.className === "dark" ? "light" : "dark";
  });

  // a cell opens what it links to, and everything around that
  const open = () => {
    const one = byId(decodeURIComponent(location.hash.slice(1)));
    for (let up = one; up && up.closest; up = up.parentElement && up.parentElement.closest("details")) {
      if (up.tagName === "DETAILS") up.open = true;
    }
    if (one) one.scrollIntoView();
  };
  addEventListener("hashchange", open);
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) open();
  });
  if (location.hash) open();

  const box = byId("search"), hits = byId("hits"), items = all(".find");
  const texts = items.map((item) => ((item.dataset.words || "") + " " + item.textContent).toLowerCase());
  document.querySelector(".search").hidden = false;
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    items.forEach((item, place) => {
      const fits = words.every((word) => texts[place].includes(word));
      item.hidden = !fits;
      if (fits) found += 1;
    });
    hits.textContent = words.length ? found + (found === 1 ? " place" : " places") : "";
  });

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    folded.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((one) => { one.open = false; }));
})();
