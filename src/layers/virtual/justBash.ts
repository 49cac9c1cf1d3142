/**
 * The types of `just-bash` that are worked with.
 */
export type { CommandName, CpOptions, FsStat, IFileSystem, MkdirOptions, RmOptions } from "just-bash"
import type * as justBash from "just-bash"

export type DirentEntry = Awaited<ReturnType<NonNullable<justBash.IFileSystem["readdirWithFileTypes"]>>>[number]

/** The package as it is loaded. */
export type JustBash = typeof justBash
