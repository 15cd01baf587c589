// How a page makes sound: one clip is heard, and a change to another of the same position has no gap.
//
// Here, sounds are read from a server and decoded into memory: changes and loops are exact to the
// sample, and no server has to answer requests for parts of a file. From a folder, where browsers
// let no script read a file, elements.js does the same with audio elements.
//
// Both kinds of deck have `load(sound)`, a promise of something ready with its `seconds`;
// `start(ready, at)` in seconds; `swap(ready)`, which goes on at the position that is heard;
// `cue(ready)`, which makes ready for a swap; `pause()`, `position`, `playing`; `loop`, null or
// `{ from, to }`; `onend`.
"use strict";

const bench = { // what the scripts of this page share
  $: (id) => document.getElementById(id),
  make: (tag, facts = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), facts);
    node.append(...children);
    return node;
  },
};

(() => {
  const ENDS = 0.05; // seconds before its end at which a shorter clip is taken up

  bench.inside = (at, seconds, loop) => {
    const place = loop && (at < loop.from || at >= loop.to) ? loop.from : at;
    return Math.max(0, Math.min(place, seconds - ENDS));
  };

  class Buffers {
    static FADE = 0.005; // seconds of the cross-fade: without it, a change can click
    static SOON = 0.01; // seconds from now at which a change is planned, so that both halves meet
    static KEPT = 12; // decoded clips

    #context = null;
    #decoded = new Map(); // promises by address, the least recent first
    #heard = null; // { ready, node, level, from, since }
    #paused = 0;
    #loop = null;
    onend = () => {};

    load(sound) {
      this.#context ??= new AudioContext(); // after a click or a key, as browsers ask
      const known = this.#decoded.get(sound.url) ?? this.#read(sound.url);
      this.#decoded.delete(sound.url);
      this.#decoded.set(sound.url, known);
      if (this.#decoded.size > Buffers.KEPT) this.#decoded.delete(this.#decoded.keys().next().value);
      known.catch(() => this.#decoded.delete(sound.url));
      return known.then((buffer) => ({ buffer, gain: sound.gain, seconds: buffer.duration }));
    }

    async #read(url) {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
      return this.#context.decodeAudioData(await answer.arrayBuffer());
    }

    start(ready, at) {
      this.#context.resume();
      const when = this.#context.currentTime + Buffers.SOON;
      this.#silence(when);
      this.#begin(ready, bench.inside(at, ready.seconds, this.#loop), when);
    }

    async swap(ready) {
      const when = this.#context.currentTime + Buffers.SOON;
      const at = this.#at(when);
      this.#silence(when);
      this.#begin(ready, bench.inside(at, ready.seconds, this.#loop), when);
    }

    cue() {} // what is decoded is ready

    pause() {
      this.#paused = this.position;
      if (this.#heard) this.#silence(this.#context.currentTime);
    }

    #begin(ready, from, since) {
      const level = this.#context.createGain();
      const node = new AudioBufferSourceNode(this.#context, {
        buffer: ready.buffer, loop: Boolean(this.#loop), loopStart: this.#loop?.from ?? 0, loopEnd: this.#loop?.to ?? 0,
      });
      level.gain.setValueAtTime(0, since);
      level.gain.linearRampToValueAtTime(ready.gain, since + Buffers.FADE);
      node.connect(level).connect(this.#context.destination);
      node.start(since, from);
      this.#heard = { ready, node, level, from, since };
      node.onended = () => {
        if (this.#heard?.node !== node) return;
        this.#heard = null;
        this.#paused = ready.seconds;
        this.onend();
      };
    }

    #silence(when) {
      if (!this.#heard) return;
      const { ready, node, level } = this.#heard;
      this.#heard = null;
      level.gain.setValueAtTime(ready.gain, when);
      level.gain.linearRampToValueAtTime(0, when + Buffers.FADE);
      node.stop(when + Buffers.FADE);
    }

    #at(time) {
      if (!this.#heard) return this.#paused;
      const { ready, from, since } = this.#heard;
      const at = from + Math.max(0, time - since);
      if (!this.#loop || at < this.#loop.to) return Math.min(at, ready.seconds);
      return this.#loop.from + ((at - this.#loop.from) % (this.#loop.to - this.#loop.from));
    }

    get position() { return this.#context ? this.#at(this.#context.currentTime) : this.#paused; }
    get playing() { return Boolean(this.#heard); }
    get loop() { return this.#loop; }
    set loop(loop) {
      const [at, heard] = [this.position, this.#heard];
      if (loop?.from === this.#loop?.from && loop?.to === this.#loop?.to) return;
      this.#loop = loop;
      if (heard) this.start(heard.ready, at);
    }
  }

  bench.Buffers = Buffers;
})();
