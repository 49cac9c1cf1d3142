/**
 * The tool `bash`: runs a command.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Sandbox } from "../../services/Sandbox.js"
import * as Tool from "../../services/Tool.js"
import { maxResult, tailOf, whole } from "./text.js"

/** The most lines of each output that are told. */
export const maxLines = 2_000

/** How long a command may run, in seconds. */
export const timeouts = { default: 120, max: 600 }

const room = maxResult - 500

export const bash: Tool.Tool<Sandbox> = Tool.make("bash", {
  description: `Runs a command in the sandbox's shell, in a new process each time: a cd, a variable or a background process does not outlive it. Standard input is empty. Gives the end of what it prints (${maxLines} lines, 50 KB) and its exit code; 124 means that the time was over.`,
  parameters: Schema.Struct({
    command: Schema.String.annotations({ description: "The command, in the syntax of the shell." }),
    cwd: Schema.optional(Schema.String.annotations({ description: "Folder to run in. Default: the working folder." })),
    timeout: Schema.optional(
      Schema.Number.annotations({
        description: `In seconds. Default: ${timeouts.default}, at most ${timeouts.max}.`
      })
    )
  }),
  // Over the longest time of a command, so that the command ends first.
  deadline: (timeouts.max + 30) * 1000,
  run: ({ command, cwd, timeout }, call) =>
    Effect.gen(function* () {
      const sandbox = yield* Sandbox
      const clock = yield* Effect.clock
      const began = clock.unsafeCurrentTimeMillis()
      const seconds = whole(timeout, timeouts.default, 1, timeouts.max)
      const result = yield* sandbox.exec({
        command,
        cwd: cwd === undefined ? call.cwd : joined(call.cwd, cwd),
        timeout: seconds * 1000,
        maxOutput: room
      })
      // Both outputs share the room; one that needs less than half leaves the rest to the other.
      const forStdout = Math.max(room - result.stderr.length, Math.floor(room / 2))
      const stdout = output("stdout", result.stdout, result.dropped.stdout, forStdout)
      const stderr = output("stderr", result.stderr, result.dropped.stderr, room - Math.min(forStdout, stdout.length))
      const nothing = stdout === "" && stderr === "" ? "[No output.]\n" : ""
      // A command may end with 124 of its own accord.
      const isLate = result.exitCode === 124 && clock.unsafeCurrentTimeMillis() - began >= seconds * 1000
      const code = isLate ? `124: it ran out of its time of ${seconds} s` : String(result.exitCode)
      return `${stdout}${stderr === "" ? "" : `[stderr]\n${stderr}`}${nothing}[Exit code ${code}.]`
    })
})

/** The end of an output, led by what is missing, and ended by a newline. */
const output = (name: string, text: string, dropped: number, most: number): string => {
  if (text === "" && dropped === 0) return ""
  // Where the beginning is missing already, so is some of the first line.
  const tail = tailOf(text, maxLines, dropped > 0 ? Math.min(most, text.length - 1) : most)
  const missing = dropped + Buffer.byteLength(text) - Buffer.byteLength(tail.text)
  const lead =
    missing === 0
      ? ""
      : `[The first ${missing} bytes of ${name} are not shown. Write it to a file to see them all, and read that.]\n`
  return lead + tail.text + (tail.text === "" || tail.text.endsWith("\n") ? "" : "\n")
}

const joined = (cwd: string, path: string): string => (path.startsWith("/") || cwd === "" ? path : `${cwd}/${path}`)
