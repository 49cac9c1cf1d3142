#!/usr/bin/env node
/**
 * Starts the executable, or says what it lacks: the packages that it is made of are optional peers of the library.
 */
import { createRequire } from "node:module"

const { peerDependencies } = createRequire(import.meta.url)("../package.json") as {
  readonly peerDependencies: Readonly<Record<string, string>>
}

const needed = ["@effect/cli", "@effect/platform", "@effect/platform-node"]

try {
  const { main } = await import("./layers/Executable.js")
  main()
} catch (error) {
  if (!(error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")) throw error
  const packages = needed.map((name) => `"${name}@${peerDependencies[name]}"`).join(" ")
  process.stderr.write(`The executable needs packages that are not installed: npm install ${packages}\n`)
  process.exitCode = 2
}
