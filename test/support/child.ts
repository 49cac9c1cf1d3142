/** Runs a script of `test/support` in a process of its own. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { bundled } from "./bundle.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Ends with what it says on its error output, which is nothing where all went well; the process ends with the fiber. */
export const child = (script: string, ...args: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.flatMap(
    Effect.promise(() => bundled(`test/support/${script}`)),
    (file) =>
      Effect.async((resume) => {
        const process_ = spawn(process.execPath, [file, ...args], { cwd: root, stdio: ["ignore", "inherit", "pipe"] })
        let said = ""
        process_.stderr.setEncoding("utf8").on("data", (chunk: string) => (said += chunk))
        process_.once("close", (code) => resume(Effect.succeed(code === 0 ? "" : said || `it ended with ${code}`)))
        return Effect.sync(() => process_.kill("SIGKILL"))
      })
  )
