"use strict";
(function () {
  const all = (what, where) => Array.from((where || document).querySelectorAll(what));
  const byId = (id) => document.getElementById(id);

  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    root.className = root.className === "dark" ? "light" : "dark";
  });

  // search: what can be found is .find; a finding stays if it, or one that follows from it, has all the words
  const box = byId("search"), hits = byId("hits"), items = all(".find");
  const texts = items.map((item) => item.textContent.toLowerCase());
  document.querySelector(".search").hidden = false;
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    items.forEach((item, place) => {
      const fits = words.every((word) => texts[place].includes(word));
      item.hidden = !fits;
      if (fits) found += 1;
      if (words.length && fits) {
        for (let up = item.closest("details"); up; up = up.parentElement.closest("details")) up.open = true;
      }
    });
    hits.textContent = words.length ? found + (found === 1 ? " place" : " places") : "";
  });

  const fold = byId("fold");
  fold.addEventListener("click", () => {
    const opened = fold.textContent === "fold all";
    all("details.section, details.card").forEach((one) => { one.open = !opened; });
    fold.textContent = opened ? "unfold all" : "fold all";
  });

  // paper has nothing to unfold; the long lists at the end are printed if they are open
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])").filter((one) => one.id !== "coverage" && one.id !== "defects");
    folded.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((one) => { one.open = false; }));

  // what the mouse, or a finger, is on
  const tip = byId("tip");
  all(".hot").forEach((one) => {
    const title = one.querySelector("title");
    one.dataset.words = title.textContent;
    one.setAttribute("aria-label", title.textContent);
    title.remove();
  });
  const show = (event) => {
    const hot = event.target.closest && event.target.closest(".hot");
    tip.hidden = !hot;
    if (!hot) return;
    tip.textContent = hot.dataset.words;
    const room = document.documentElement.clientWidth;
    tip.style.left = Math.max(4, Math.min(event.pageX + 12, room - tip.offsetWidth - 8)) + "px";
    tip.style.top = event.pageY + 16 + "px";
  };
  document.addEventListener("mousemove", show);
  document.addEventListener("click", show);

  if (navigator.clipboard) {
    all(".copy").forEach((button) => {
      button.hidden = false;
      button.addEventListener("click", () => {
        navigator.clipboard.writeText(button.previousElementSibling.textContent).then(
          () => { button.textContent = "copied"; }, () => { button.hidden = true; });
      });
    });
  }
})();
