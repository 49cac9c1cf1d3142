/**
 * Looking for the files that may hold a match with ripgrep.
 *
 * It only preselects: what it names is read and matched by whoever asks, through the sandbox. None of its own rules for
 * ignoring is used, since they differ from git's in small ways and would hide files; folders that are ignored are named
 * to it, and what it finds is held against the rules afterwards.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Sandbox, SearchRequest } from "../../services/Sandbox.js"
import { maxFile } from "../tools/grep.js"
import { skipped } from "../tools/walk.js"
import { type Command, run, type Within } from "./shell.js"
import { superset } from "./superset.js"
import { visited } from "./visited.js"

/** The most that ripgrep may print, in bytes: about 20,000 paths. */
const maxOutput = 1024 * 1024

/** How long it may take, in milliseconds: half of what a walk may. */
const maxTime = 30_000

/** What runs ripgrep. */
export interface Ripgrep {
  readonly program: string
  readonly sandbox: Context.Tag.Service<Sandbox>
  readonly within: Within
  readonly command: Pick<Command, "env" | "token" | "grace">
}

/** Whether a program says that it is ripgrep. */
export const isRipgrep = (program: string, command: Ripgrep["command"]): Effect.Effect<boolean> =>
  runIn((use) => Effect.sync(() => use("/")), { program, args: ["--version"], ...command }).pipe(
    Effect.map(({ stdout }) => stdout.startsWith("ripgrep ")),
    Effect.orElseSucceed(() => false)
  )

const runIn = (within: Within, command: Omit<Command, "timeout" | "maxOutput">) =>
  run({ ...command, timeout: maxTime, maxOutput }, within).pipe(Effect.withClock(Clock.make()))

/** The first `rg` of the folders of a PATH that can be run. */
export const findRipgrep = (searched: string | undefined): string | undefined =>
  (searched ?? "")
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder))
    .map((folder) => path.join(folder, "rg"))
    .find((file) => {
      try {
        fs.accessSync(file, fs.constants.X_OK)
        return fs.statSync(file).isFile()
      } catch {
        return false
      }
    })

/**
 * The files that a walk comes to and that may hold a match, in any order; but not those that are larger than the
 * tools search. `undefined` where ripgrep cannot tell: it does not know the pattern, it fails, or it finds too much; and
 * where a folder cannot be listed, which a walk has to tell of.
 */
export const candidates = (
  { command, program, sandbox, within }: Ripgrep,
  { cwd = ".", ignoreCase, path: start, pattern }: SearchRequest
): Effect.Effect<ReadonlyArray<string> | undefined> =>
  Effect.gen(function* () {
    const wider = superset(pattern, ignoreCase)
    if (wider === undefined) return undefined
    const files = visited(sandbox, start, cwd)
    const passedOver = yield* files.passedOver
    const args = [
      ...["--no-config", "--no-ignore", "--hidden", "--no-follow", "--no-messages", "--color=never"],
      ...["--files-with-matches", "--null", "--text", "--encoding=none", `--max-filesize=${maxFile}`],
      ...[ignoreCase ? "--ignore-case" : "--case-sensitive", "--no-multiline", "--engine=default"],
      ...[...skipped].map((name) => `--glob=!${name}`),
      ...passedOver
        .filter(isPlain)
        .slice(0, maxGlobs)
        .map((folder) => `--glob=!/${folder}/`),
      ...[`--regexp=${wider}`, "--", "."]
    ]
    const result = yield* Effect.either(runIn(within, { program, args, ...command }))
    // What is not there or cannot be run is no failure of the search.
    if (result._tag === "Left" || result.right.exitCode > 1 || result.right.dropped.stdout > 0) return undefined
    const found = result.right.stdout
      .split("\0")
      .slice(0, -1)
      .map((file) => path.posix.normalize(file))
    return yield* Effect.filter(found, files.comesTo)
  }).pipe(Effect.orElseSucceed(() => undefined))

/** How many folders are named to ripgrep. */
const maxGlobs = 500

/** Whether a path means itself as a glob, to whatever version. */
const isPlain = (at: string): boolean => /^[\w.@+ /-]+$/.test(at)
