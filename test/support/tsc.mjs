// Type-checks with the Effect build of tsc, which adds diagnostics such as floating effects to those of TypeScript.
import { execFileSync, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../../node_modules/@effect/tsgo/dist/effect-tsgo.cjs", import.meta.url))

/** Runs tsc with `args`. Its output is returned, or shown at once when `inherit` is set. */
export const tsc = (args, inherit = false) => {
  const exe = execFileSync(process.execPath, [bin, "get-exe-path"], { encoding: "utf8" }).trim()
  const { error, status, stdout } = spawnSync(exe, args, {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", inherit ? "inherit" : "pipe", "inherit"]
  })
  if (error) throw error
  return { status: status ?? 1, output: stdout ?? "" }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = tsc(process.argv.slice(2), true).status
}
