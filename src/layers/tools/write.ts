/**
 * The tool `write`: makes a file or replaces it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Sandbox } from "../../services/Sandbox.js"
import * as Tool from "../../services/Tool.js"
import { alone } from "./PathLock.js"
import { calledBy, halfOf } from "./writing.js"

/**
 * Run again it would do no harm by itself, but it would take back what was written since; so a call that was cut is not
 * run again.
 */
export const write: Tool.Tool<Sandbox> = Tool.make("write", {
  description:
    "Makes a file, with the folders on the way to it, or replaces all that a file holds. To change a part of a file, use edit.",
  parameters: Schema.Struct({
    path: Schema.String.annotations({ description: "The file, relative to the working folder or absolute." }),
    content: Schema.String.annotations({ description: "All that the file is to hold." })
  }),
  run: ({ content, path }, call) =>
    Effect.gen(function* () {
      const half = halfOf("content", content)
      if (half !== undefined) return yield* Effect.fail(`Cannot write ${path}: ${half}.`)
      const sandbox = yield* Sandbox
      // What is locked by this name is read and written by it too, so that no link is followed twice.
      const place = yield* sandbox.place(path, call.cwd)
      const bytes = Buffer.from(content)
      const write = Effect.gen(function* () {
        // What cannot be looked at is not there, or it cannot be written either.
        const before = yield* Effect.option(sandbox.stat(place))
        yield* sandbox.write(place, bytes)
        const now = `${path}: ${counted(linesOf(content), "line")}, ${counted(bytes.length, "byte")}`
        return before._tag === "None"
          ? `[Created ${now}.]`
          : `[Replaced ${now}; it had ${counted(before.value.size, "byte")}.]`
      })
      return yield* calledBy(path, alone(sandbox, place, write))
    })
})

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

const linesOf = (text: string): number => {
  let count = text === "" || text.endsWith("\n") ? 0 : 1
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++
  return count
}
