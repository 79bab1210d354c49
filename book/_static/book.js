// Small services of every page; each works without the network, over http and from a file.
(() => {
  "use strict";

  // Search shows a line of every hit, which it fetches from the page; a page opened as a file may not fetch.
  if (location.protocol === "file:") {
    DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
  }

  // What scrolls sideways must be reachable by keyboard; what does not would only be one more stop.
  const WIDE = "div.math, mjx-container, .bd-article pre, .pst-scrollable-table-container, div.cell_output .output";
  // A formula also holds its invisible text for screen readers: what counts is the drawn part.
  const focusable = (element) => {
    const drawn = element.querySelector(":scope > mjx-math")?.getBoundingClientRect().width ?? element.scrollWidth;
    const wide = drawn > element.clientWidth + 1;
    element.classList.toggle("wide", wide);
    if (wide) {
      element.tabIndex = 0;
    } else {
      element.removeAttribute("tabindex");
    }
  };
  const sizes = new ResizeObserver((entries) => entries.forEach((entry) => focusable(entry.target)));
  const watch = () => document.querySelectorAll(WIDE).forEach((element) => sizes.observe(element));
  // Formulas are made, and widen their lines, after the page has loaded.
  window.addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    watch();
  });

  // The theme takes the focus off a button of its bar once it is pressed; a keyboard would start again at the top.
  document.addEventListener("click", ({ detail, target }) => {
    const button = detail === 0 && target.closest("button"); // 0: pressed by key
    setTimeout(() => button && document.activeElement === document.body && button.focus());
  }, true);

  // On paper every fold is open.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((fold) => { fold.open = true; });
  });
  window.addEventListener("afterprint", () => opened.forEach((fold) => { fold.open = false; }));

  // A link into a closed fold opens it.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      fold.open = true;
    }
  };
  window.addEventListener("hashchange", reveal);
  reveal();
})();
