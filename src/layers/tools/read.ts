/**
 * The tool `read`: a page of a text file.
 */
import { isUtf8 } from "node:buffer"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SandboxError } from "../../services/Errors.js"
import { Sandbox } from "../../services/Sandbox.js"
import * as Tool from "../../services/Tool.js"
import { isContinuation } from "../sandbox/Tail.js"
import { imageOf, maxImage } from "./image.js"
import { isBinary, maxResult, whole } from "./text.js"

/** How many lines a page has where the model does not say, and at most. */
export const maxLines = 2_000

const chunkBytes = 256 * 1024

export const read: Tool.Tool<Sandbox> = Tool.make("read", {
  description: `Reads a text file, or shows an image. Gives at most ${maxLines} lines or 50 KB, each line as its number, a tab and its text. A longer file is read on with offset.`,
  effects: "pure",
  parameters: Schema.Struct({
    path: Schema.String.annotations({ description: "The file, relative to the working folder or absolute." }),
    offset: Schema.optional(Schema.Int.annotations({ description: "The first line to read, from 1. Default: 1." })),
    limit: Schema.optional(Schema.Int.annotations({ description: `How many lines to read. Default: ${maxLines}.` }))
  }),
  run: ({ limit, offset, path }, call) =>
    Effect.gen(function* () {
      const sandbox = yield* Sandbox
      const page = new Page(whole(offset, 1, 1, Number.MAX_SAFE_INTEGER), whole(limit, maxLines, 1, maxLines))
      let size = 0
      for (;;) {
        const chunk = yield* chunkAt(sandbox, path, call.cwd, size)
        const image = size === 0 ? imageOf(chunk) : undefined
        if (image !== undefined) return yield* showImage(sandbox, path, call.cwd, image.mediaType)
        if (size === 0 && isBinary(chunk)) return yield* sayBinary(sandbox, path, call.cwd)
        size += chunk.length
        if (page.push(chunk)) break
        if (chunk.length < chunkBytes) {
          page.end()
          break
        }
      }
      return size === 0 ? "[The file is empty.]" : page.print()
    })
})

const chunkAt = (
  sandbox: Context.Tag.Service<Sandbox>,
  path: string,
  cwd: string,
  offset: number
): Effect.Effect<Uint8Array, SandboxError> => sandbox.read(path, { cwd, offset, limit: chunkBytes })

const sayBinary = (sandbox: Context.Tag.Service<Sandbox>, path: string, cwd: string) =>
  Effect.map(sandbox.stat(path, cwd), ({ size }) => `[A binary file of ${size} bytes; it is not shown.]`)

const showImage = (
  sandbox: Context.Tag.Service<Sandbox>,
  path: string,
  cwd: string,
  mediaType: string
): Effect.Effect<string | Tool.Content, SandboxError> =>
  Effect.gen(function* () {
    const bytes = yield* sandbox.read(path, { cwd, limit: maxImage + 1 })
    if (bytes.length <= maxImage) return Tool.content([{ type: "image", mediaType, data: bytes }])
    const { size } = yield* sandbox.stat(path, cwd)
    return `[An image of ${size} bytes, ${mediaType}; over 3.75 MB, so it is not shown.]`
  })

/** Takes a file's chunks in order and keeps the lines of one page. */
class Page {
  readonly #first: number
  readonly #count: number
  readonly #lines: Array<string> = []
  #room = maxResult - 500
  /** The line that is being read, and the pieces of it that are kept. */
  #at = 1
  #pieces: Array<Uint8Array> = []
  #length = 0
  #clean = true
  #state: "open" | "full" | "cut" | "end" = "open"
  #endsWithNewline = true

  constructor(first: number, count: number) {
    this.#first = first
    this.#count = count
  }

  /** `true` when the page needs no more. */
  push(chunk: Uint8Array): boolean {
    for (let from = 0; from < chunk.length;) {
      if (this.#lines.length === this.#count) this.#state = "full"
      if (this.#state !== "open") return true
      const newline = chunk.indexOf(10, from)
      const end = newline < 0 ? chunk.length : newline
      this.#endsWithNewline = newline >= 0
      if (this.#at >= this.#first) this.#take(chunk.subarray(from, end))
      if (newline < 0) return this.#state !== "open"
      this.#finishLine()
      from = newline + 1
    }
    return this.#state !== "open"
  }

  /** There is nothing after what was pushed. */
  end(): void {
    if (this.#state !== "open") return
    if (!this.#endsWithNewline) this.#finishLine()
    if (this.#state === "open") this.#state = "end"
  }

  print(): string {
    const next = this.#first + this.#lines.length
    const notes: Array<string> = []
    if (this.#state === "full") notes.push(`The file goes on. Read on with offset=${next}.`)
    if (this.#state === "cut") {
      const line = next - 1
      notes.push(
        `Line ${line} is too long to be shown whole; see more of it with: sed -n '${line}p' FILE | cut -b ${this.#length + 1}-. The next line is at offset=${next}.`
      )
    }
    if (this.#state === "end") {
      const total = this.#at - 1
      if (this.#lines.length === 0) notes.push(`The last line is ${total}; offset ${this.#first} is after it.`)
      else notes.push(`End of the file${this.#endsWithNewline ? "" : ", with no newline at the end of its last line"}.`)
    }
    if (!this.#clean) notes.push("Bytes that are not UTF-8 are shown as \uFFFD.")
    return [...this.#lines, `[${notes.join(" ")}]`].join("\n")
  }

  #take(piece: Uint8Array): void {
    this.#pieces.push(piece)
    this.#length += piece.length
    if (this.#prefix().length + this.#length + 1 <= this.#room) return
    if (this.#lines.length > 0) {
      this.#state = "full"
      return
    }
    // One byte more than is kept tells whether a character would be split.
    const most = this.#room - this.#prefix().length - 1
    const bytes = Buffer.concat(this.#pieces, most + 1)
    let end = most
    while (end > most - 3 && isContinuation(bytes[end]!)) end--
    this.#length = end
    this.#commit(bytes.subarray(0, end))
    this.#state = "cut"
  }

  #finishLine(): void {
    if (this.#state !== "open") return
    if (this.#at >= this.#first) this.#commit(Buffer.concat(this.#pieces))
    this.#pieces = []
    this.#length = 0
    this.#at++
  }

  #commit(bytes: Buffer): void {
    this.#clean &&= isUtf8(bytes)
    const line = this.#prefix() + bytes.toString("utf8")
    this.#room -= this.#prefix().length + bytes.length + 1
    this.#lines.push(line)
  }

  #prefix(): string {
    return `${this.#at}\t`
  }
}
