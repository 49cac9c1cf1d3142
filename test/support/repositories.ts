/**
 * Temporary folders and git repositories.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

const folders: Array<string> = []

/** Removes all of them. */
export const removeFolders = (): void => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}

export const temporary = (files: Readonly<Record<string, string | Buffer>> = {}): string => {
  const folder = mkdtempSync(join(tmpdir(), "baton cli "))
  folders.push(folder)
  write(folder, files)
  return folder
}

export const write = (folder: string, files: Readonly<Record<string, string | Buffer>>): void => {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
}

export const git = (folder: string, ...args: ReadonlyArray<string>): string =>
  execFileSync("git", ["-c", "user.name=Ada Bell", "-c", "user.email=ada@example.org", ...args], {
    cwd: folder,
    encoding: "utf8",
    env: { PATH: process.env.PATH, HOME: "/nowhere", GIT_CONFIG_NOSYSTEM: "1" },
    stdio: ["ignore", "pipe", "ignore"]
  })

export const commit = (folder: string, subject: string, ...more: ReadonlyArray<string>): void => {
  git(folder, "add", "-A")
  git(folder, "commit", "-q", "-m", subject, ...more)
}

export const repository = (files: Readonly<Record<string, string | Buffer>>, subject = "Begin"): string => {
  const folder = temporary(files)
  git(folder, "init", "-q")
  commit(folder, subject)
  return folder
}
