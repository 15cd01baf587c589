// The deck of a page that is opened from a folder: audio elements that play side by side.
//
// One is heard. Another, the next to be heard, plays along as good as unheard, and is brought to the
// same position by being played a little faster or slower; a change is then one of two volumes. A
// loop is a change to a second element of the same sound, which has been started ahead of time.
"use strict";

(() => {
  const CLOSE = 0.002; // seconds between two clips that count as one position
  const FAR = 0.15; // seconds that are not worth catching up with
  const LATEST = 0.15; // seconds at most until an element that is told to play is under way
  const CATCH = 0.12; // seconds in which a clip catches up
  const SETTLE = 0.06; // seconds after which its position can be believed
  const TRIES = 4;
  const AGAIN = 1; // second until two positions are compared again
  const AHEAD = 0.6; // seconds before the end of a loop at which its beginning is made ready
  const KEPT = 10; // voices beside those that play
  const EARLY = 0.01; // seconds before its end at which a loop turns, since a timer may be late
  const HUSH = 1e-4; // -80 dB: Chromium moves what is muted or at 0 by hundredths of a second when it is heard again

  const wait = (seconds) => new Promise((done) => { setTimeout(done, Math.max(0, 1000 * seconds)); });
  const begin = (audio) => { audio.play().catch(() => {}); }; // a pause came before it began

  const put = (audio, at) => {
    audio.playbackRate = 1;
    if (Math.abs(audio.currentTime - at) > 1e-3) audio.currentTime = at;
  };

  class Elements {
    #opened = new Map(); // voices by address, the least recent first: { audio, spare, gain, url, known }
    #heard = null;
    #beside = null; // the voice that plays along
    #loop = null;
    #timer = 0;
    #delay = 0.03; // seconds until an element that is told to play is under way: a guess, then as observed
    #ticket = 0; // of what was asked last
    #turns = 0;
    onend = () => {};

    load(sound) {
      const voice = this.#opened.get(sound.url) ?? this.#open(sound);
      this.#opened.delete(sound.url);
      this.#opened.set(sound.url, voice);
      const idle = [...this.#opened.values()].filter((one) => ![voice, this.#heard, this.#beside].includes(one));
      for (const one of idle.slice(0, -KEPT)) this.#close(one);
      return voice.known.then(() => ({ voice, seconds: voice.audio.duration }));
    }

    #open({ url, gain }) {
      const [audio, spare] = [0, 1].map(() => Object.assign(new Audio(), { preload: "auto", preservesPitch: false }));
      const voice = { audio, spare, gain, url };
      for (const one of [audio, spare]) one.addEventListener("ended", () => this.#ended(one));
      voice.known = new Promise((done, fail) => {
        audio.addEventListener("loadedmetadata", done, { once: true });
        audio.addEventListener("error", () => { this.#opened.delete(url); fail(audio.error); }, { once: true });
      });
      audio.src = url;
      return voice;
    }

    #close(voice) { // a browser plays only so many at once
      this.#opened.delete(voice.url);
      for (const audio of [voice.audio, voice.spare]) { audio.removeAttribute("src"); audio.load(); }
    }

    start({ voice }, at) {
      this.#ticket += 1;
      if (this.#heard && this.#heard !== voice) this.#rest(this.#heard);
      if (this.#beside === voice) this.#beside = null;
      this.#heard = voice;
      put(voice.audio, bench.inside(at, voice.audio.duration, this.#loop));
      voice.audio.volume = voice.gain;
      begin(voice.audio);
      this.#goOn();
    }

    async swap({ voice }) {
      if (this.#heard === voice) return;
      const ticket = this.#aside(voice);
      await this.#join(voice.audio, () => this.#heard.audio.currentTime, ticket);
      if (ticket !== this.#ticket) return;
      const former = this.#heard;
      [this.#heard, this.#beside] = [voice, former];
      voice.audio.playbackRate = 1;
      voice.audio.volume = voice.gain;
      former.audio.volume = HUSH;
      former.spare.pause();
      this.#goOn();
    }

    cue({ voice }) {
      if (this.#heard === voice || this.#beside === voice) return;
      this.#aside(voice);
      this.#goOn();
    }

    pause() {
      this.#ticket += 1;
      clearTimeout(this.#timer);
      for (const voice of [this.#heard, this.#beside]) if (voice) this.#rest(voice);
    }

    #rest(voice) { for (const audio of [voice.audio, voice.spare]) { audio.pause(); audio.playbackRate = 1; } }

    #aside(voice) { // makes it the one that plays along
      if (this.#beside && this.#beside !== voice) this.#rest(this.#beside);
      this.#beside = voice;
      this.#ticket += 1;
      return this.#ticket;
    }

    #goOn() {
      this.#follow(this.#ticket);
      this.#watch();
    }

    async #follow(ticket) { // as long as nothing changes: a clip that was late once is late again
      while (this.#beside && this.playing && ticket === this.#ticket) {
        await this.#join(this.#beside.audio, () => this.#heard.audio.currentTime, ticket);
        await wait(AGAIN);
      }
    }

    // Brings a clip that is not heard to a position that moves on, `target()`, if there is `time()`.

    async #join(audio, target, ticket, time = () => Infinity) {
      audio.volume = HUSH;
      const off = () => audio.currentTime - target();
      if (audio.paused || Math.abs(off()) > FAR) {
        put(audio, bench.inside(target() + this.#delay, audio.duration, null));
        begin(audio);
        await wait(SETTLE);
        this.#delay = Math.min(LATEST, Math.max(0, this.#delay - off() / 2));
      }
      for (let tries = 0; tries < TRIES && ticket === this.#ticket && time() > CATCH + SETTLE && Math.abs(off()) > CLOSE; tries += 1) {
        audio.playbackRate = Math.min(2, Math.max(0.5, 1 - off() / CATCH));
        await wait(CATCH);
        audio.playbackRate = 1;
        await wait(SETTLE);
      }
    }

    // A little before the end of a loop, the spare element begins to play; at the end it is heard.

    #watch() {
      clearTimeout(this.#timer);
      if (!this.#loop || !this.playing) return;
      const { audio, spare } = this.#heard;
      const { from, to } = this.#loop;
      if (!spare.src) spare.src = audio.src;
      const left = to - audio.currentTime;
      const ahead = Math.min(AHEAD, to - from - SETTLE);
      if (left > ahead) this.#timer = setTimeout(() => this.#watch(), 1000 * Math.min(AGAIN, left - ahead));
      else this.#turn(this.#heard, left, this.#ticket);
    }

    async #turn(voice, left, ticket) {
      const { from, to } = this.#loop;
      const { audio, spare } = voice;
      const target = () => audio.currentTime - (to - from);
      const time = () => to - audio.currentTime;
      this.#turns += 1;
      const turn = this.#turns;
      const isLast = () => turn === this.#turns;
      const isOn = () => isLast() && ticket === this.#ticket && this.#loop?.from === from && this.#loop?.to === to;
      spare.volume = HUSH;
      if (from < CATCH + 2 * SETTLE) { // too little before the loop to play along
        put(spare, from);
        await wait(left - this.#delay);
        if (isOn()) begin(spare);
      } else {
        await wait(left - from);
        if (isOn()) await this.#join(spare, target, ticket, time);
      }
      if (isOn()) await wait(time() - EARLY);
      if (!isOn()) { if (isLast()) spare.pause(); return; }
      if (spare.paused) begin(spare);
      spare.playbackRate = 1;
      spare.volume = voice.gain;
      [voice.audio, voice.spare] = [spare, audio];
      audio.volume = HUSH;
      audio.pause();
      put(audio, from);
      this.#ticket += 1;
      this.#goOn();
    }

    #ended(audio) { // one that stands at its end would begin at 0, wherever it is put
      const isHeard = this.#heard?.audio === audio;
      if (isHeard && this.#loop) return; // the spare one takes over
      if (isHeard) this.pause();
      put(audio, 0);
      if (isHeard) this.onend();
    }

    get position() { return this.#heard?.audio.currentTime ?? 0; }
    get playing() { // the end of a clip pauses it, also where a loop goes on in a moment
      const audio = this.#heard?.audio;
      return Boolean(audio && (!audio.paused || (this.#loop && audio.ended)));
    }
    get loop() { return this.#loop; }
    set loop(loop) {
      if (loop?.from === this.#loop?.from && loop?.to === this.#loop?.to) return;
      this.#loop = loop;
      if (!this.playing) return;
      if (loop && (this.position < loop.from || this.position >= loop.to)) put(this.#heard.audio, loop.from);
      this.#watch();
    }
  }

  bench.openDeck = () => (location.protocol === "file:" ? new Elements() : new bench.Buffers());
})();
