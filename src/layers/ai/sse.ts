/**
 * Server-sent events, read in a time that is linear in what arrives.
 *
 * The parser of `@effect/experimental` begins at the start of a chunk again for each line in it, and joins an event anew
 * with each chunk: a reply of 500 calls blocked the process for half a second, an event without end for five.
 */

/** The longest event, in UTF-16 code units. */
export const maxEvent = 10 * 1024 * 1024

/** Reads one stream. Of an event only its data is told; `event`, `id` and `retry` lines are passed over. */
export class SseReader {
  /** The beginning of a line whose end has not arrived. */
  private line = ""
  private data: Array<string> = []
  /** Of the event that is arriving. */
  private size = 0
  private isFirst = true
  /** The last chunk ended with a carriage return, and a line feed that follows belongs to it. */
  private afterReturn = false

  constructor(private readonly onData: (data: string) => void) {}

  /** Takes what has arrived. `false` where an event has become longer than any may be: the stream is of no use then. */
  feed(chunk: string): boolean {
    if (chunk === "") return true
    let from = (this.isFirst && chunk.startsWith("\ufeff")) || (this.afterReturn && chunk.startsWith("\n")) ? 1 : 0
    this.isFirst = false
    this.afterReturn = chunk.endsWith("\r")
    lineEnd.lastIndex = from
    for (let end = lineEnd.exec(chunk); end !== null; end = lineEnd.exec(chunk)) {
      this.take(this.line + chunk.slice(from, end.index))
      this.line = ""
      from = lineEnd.lastIndex
    }
    this.line += chunk.slice(from)
    return this.size + this.line.length <= maxEvent
  }

  private take(line: string): void {
    if (line === "") {
      if (this.data.length > 0) this.onData(this.data.join("\n"))
      this.data = []
      this.size = 0
      return
    }
    const colon = line.indexOf(":")
    if ((colon < 0 ? line : line.slice(0, colon)) !== "data") return
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1)
    this.data.push(value)
    this.size += value.length + 1
  }
}

const lineEnd = /\r\n|\n|\r/g
