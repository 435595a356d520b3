// Reads a route regularly while a view is shown and the page is visible.

export class Poll {
  #timer = null;
  #running = false;

  /** `read` gets the data, `show` draws it, `failed` gets an error; `every` in ms. */
  constructor(read, show, failed, every) {
    Object.assign(this, { read, show, failed, every });
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#once();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  async #once() {
    if (!document.hidden) {
      try {
        const found = await this.read();
        if (this.#running) this.show(found);
        this.failed(null);
      } catch (error) {
        this.failed(error);
      }
    }
    if (this.#running) this.#timer = setTimeout(() => this.#once(), this.every);
  }
}
