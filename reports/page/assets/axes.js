// The pictures of a page: a mel spectrogram with its axes, in kilohertz and seconds.
"use strict";

(() => {
  const { make } = bench;
  const TONES = [0.1, 0.25, 0.5, 1, 2, 4, 8, 16]; // kHz, of which an axis shows some
  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60]; // seconds

  // The scale of Slaney (1998), as in reports/figures/mel.py: even up to 1 kHz, then in ratios.

  const mel = (hertz) => (hertz < 1000 ? (hertz * 3) / 200 : 15 + (Math.log(hertz / 1000) * 27) / Math.log(6.4));

  const tones = (hertz, space) => { // those that are at least `space` of the height apart, from above
    const heights = TONES.map((tone) => ({ tone, at: mel(1000 * tone) / mel(hertz) })).filter(({ at }) => at < 0.97);
    const chosen = [];
    for (const one of heights.reverse()) if (!chosen.length || chosen.at(-1).at - one.at >= space) chosen.push(one);
    return chosen.filter(({ at }) => at >= space / 3);
  };

  const times = (seconds, count) => {
    const step = STEPS.find((one) => seconds / one <= count) ?? seconds / count;
    return Array.from({ length: Math.floor(seconds / step + 1e-6) + 1 }, (_, place) => place * step);
  };

  const word = (number) => String(Number(number.toFixed(2)));

  const tick = (side, share, text) => {
    const node = make("span", { className: "mark", textContent: text });
    node.style.setProperty(side, `${(100 * share).toFixed(2)}%`);
    return node;
  };

  // An axis of tones and one of seconds around a picture; a sound of unknown length has none.

  bench.framed = (picture, { seconds, hertz }, size = { space: 0.3, count: 2 }) => {
    const head = make("span", { className: "head" });
    const frame = make("span", { className: "frame" }, make("span", { className: "view" }, ...(picture ? [picture] : []), head));
    frame.setAttribute("aria-hidden", "true");
    if (!seconds || !hertz) return frame;
    frame.classList.add("scaled");
    const up = make("span", { className: "up" }, ...tones(hertz / 2, size.space).map(({ tone, at }) => tick("bottom", at, word(tone))));
    const along = make("span", { className: "along" }, ...times(seconds, size.count).map((time, place, all) => tick("left", time / seconds, place + 1 < all.length ? word(time) : `${word(time)} s`)));
    if (parseFloat(along.lastChild.style.left) > 95) along.lastChild.classList.add("last");
    frame.prepend(up);
    frame.append(make("span", { className: "unit", textContent: "kHz" }), along);
    return frame;
  };

  for (const button of document.querySelectorAll(".examples .clip button")) {
    const picture = button.querySelector("img");
    if (picture) button.prepend(bench.framed(picture, { seconds: Number(button.dataset.seconds), hertz: Number(button.dataset.hertz) }));
  }
})();
