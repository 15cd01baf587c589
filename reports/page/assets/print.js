// Paper cannot unfold anything, and knows no folder that a link could lead to.
"use strict";

(() => {
  const LOCAL = /^(?!#|[a-z][a-z0-9+.-]*:)/i; // a file beside the page, by its path from there
  let undo = [];

  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open])")) {
      fold.open = true;
      undo.push(() => { fold.open = false; });
    }
    for (const link of document.querySelectorAll("a[href]")) {
      const address = link.getAttribute("href");
      if (!LOCAL.test(address)) continue;
      link.dataset.file = decodeURI(address);
      link.removeAttribute("href");
      undo.push(() => { link.setAttribute("href", address); delete link.dataset.file; });
    }
  });

  addEventListener("afterprint", () => {
    for (const act of undo) act();
    undo = [];
  });
})();
