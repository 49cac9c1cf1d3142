#!/usr/bin/env node
/**
 * Starts the executable, or says what it lacks: the packages that it is made of are optional peers of the library.
 */
import { installLine, isMissing } from "./layers/peers.js"

try {
  const { main } = await import("./layers/Executable.js")
  main()
} catch (error) {
  if (!isMissing(error)) throw error
  const line = installLine(
    "@effect/cli",
    "@effect/platform",
    "@effect/platform-node",
    "@effect/sql",
    "@effect/experimental",
    "libsql"
  )
  process.stderr.write(`The executable needs packages that are not installed: ${line}\n`)
  process.exitCode = 2
}
