/** Numbers and sections as bytes, and back. */

/** Bytes that grow. */
export class ByteSink {
  #bytes = new Uint8Array(1024);
  length = 0;

  #room(more: number): void {
    if (this.length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + more));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }

  /** A whole number from 0 to 2^53, seven bits a byte. */
  number(value: number): this {
    this.#room(8);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes[this.length++] = (rest % 128) + 128;
    this.#bytes[this.length++] = rest;
    return this;
  }

  /** A whole number of either sign, below 2^52. */
  signed(value: number): this {
    return this.number(value < 0 ? -value * 2 - 1 : value * 2);
  }

  bytes(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  section(bytes: Uint8Array): this {
    return this.number(bytes.length).bytes(bytes);
  }

  /** Text of which each character is a byte. */
  latin(text: string): this {
    return this.bytes(Buffer.from(text, 'latin1'));
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}

/** Reads what a sink wrote; what is not there, or out of range, is `invalid`. */
export class ByteSource {
  readonly #bytes: Uint8Array;
  readonly #invalid: (what: string) => Error;
  #at = 0;

  constructor(bytes: Uint8Array, invalid: (what: string) => Error) {
    this.#bytes = bytes;
    this.#invalid = invalid;
  }

  get length(): number {
    return this.#bytes.length;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw this.#invalid('it is cut short');
      value += (byte % 128) * scale;
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
    }
    throw this.#invalid('a number is out of range');
  }

  signed(): number {
    const value = this.number();
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }

  section(): Uint8Array {
    const length = this.number();
    if (length > this.#bytes.length - this.#at) throw this.#invalid('it is cut short');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  part(): ByteSource {
    return new ByteSource(this.section(), this.#invalid);
  }

  end(): void {
    if (!this.done) throw this.#invalid('something follows its end');
  }
}
