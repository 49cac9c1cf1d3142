/**
 * The optional packages, in the versions that fit. Loads nothing, so that it can speak where they are missing.
 */
import { createRequire } from "node:module"

const { peerDependencies } = createRequire(import.meta.url)("../../package.json") as {
  readonly peerDependencies: Readonly<Record<string, string>>
}

/** The command that installs packages; a bare one would take versions that do not fit each other. */
export const installLine = (...names: ReadonlyArray<string>): string =>
  `npm install ${names.map((name) => `"${name}@${peerDependencies[name]}"`).join(" ")}`

/** Whether an import failed because its package is not installed. */
export const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND"
