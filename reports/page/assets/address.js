// What is chosen and heard stands in the address: it survives a reload, is a link, and "back" undoes it.
//
// Parts of the page have `words()`, an object of what they want to remember, and
// `restore(words, whole, returned)`: `whole` says that what is absent is at its default, which a
// short link to a cell does not say; `returned`, that the reader was here before.
"use strict";

(() => {
  const WAIT = 250; // milliseconds
  const parts = [];
  const isOurs = () => !location.hash || location.hash === "#listen" || location.hash.includes("=");

  const words = () => {
    const said = parts.flatMap((part) => Object.entries(part.words()));
    return `${new URLSearchParams(said.filter(([, value]) => value !== "" && value !== undefined))}`;
  };

  const write = (isChoice) => {
    const now = words();
    if (history.state?.words === now) return;
    const address = isChoice || isOurs() ? (now ? `#${now}` : "#listen") : location.hash; // a section keeps its name
    history[isChoice ? "pushState" : "replaceState"]({ words: now }, "", address);
  };

  // A choice is a new entry of the history. A position, or another clip of a row, renews the present
  // one, a moment later: browsers refuse to renew it hundreds of times while a slider is dragged.

  let timer = 0;
  bench.remember = (isChoice = false) => {
    clearTimeout(timer);
    if (isChoice) write(true); else timer = setTimeout(write, WAIT, false);
  };

  const restore = (text, whole, returned) => {
    const asked = new URLSearchParams(text);
    for (const part of parts) part.restore(asked, whole, returned);
  };

  bench.follow = (...all) => {
    parts.push(...all);
    const kept = history.state?.words;
    if (kept !== undefined) restore(kept, true, true);
    else if (location.hash.includes("=")) restore(location.hash.slice(1), true, false);
    addEventListener("popstate", (event) => {
      if (event.state?.words !== undefined) restore(event.state.words, true, true);
      else if (location.hash.includes("=")) restore(location.hash.slice(1), false, false);
      write(false);
    });
    addEventListener("pagehide", () => write(false));
  };
})();
