/**
 * The end of an output, kept in bounded memory while it flows.
 */

/** Keeps the last `max` bytes of what is pushed and counts the others. Holds at most twice `max`. */
export class Tail {
  readonly #max: number
  #bytes = new Uint8Array(0)
  #length = 0
  #dropped = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Copies the chunk. */
  push(chunk: Uint8Array): void {
    if (chunk.length >= this.#max) {
      this.#keep(0)
      this.#dropped += chunk.length - this.#max
      this.#append(chunk.subarray(chunk.length - this.#max))
      return
    }
    if (this.#length + chunk.length > 2 * this.#max) this.#keep(this.#max - chunk.length)
    this.#append(chunk)
  }

  /** The kept end as text, and how many bytes are missing before it. It begins with a whole character. */
  read(): { readonly text: string; readonly dropped: number } {
    if (this.#length > this.#max) this.#keep(this.#max)
    let start = 0
    if (this.#dropped > 0) while (start < 3 && start < this.#length && isContinuation(this.#bytes[start]!)) start++
    const kept = Buffer.from(this.#bytes.buffer, start, this.#length - start)
    return { text: kept.toString("utf8"), dropped: this.#dropped + start }
  }

  #keep(count: number): void {
    this.#dropped += this.#length - count
    this.#bytes.copyWithin(0, this.#length - count, this.#length)
    this.#length = count
  }

  #append(chunk: Uint8Array): void {
    const needed = this.#length + chunk.length
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(2 * this.#max, Math.max(needed, 2 * this.#bytes.length, 4096)))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    this.#bytes.set(chunk, this.#length)
    this.#length = needed
  }
}

/** Whether a byte of UTF-8 goes on with a character that began before it. */
export const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80
