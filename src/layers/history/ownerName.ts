/**
 * How an engine is named to others: where to look for it, and an id that no other engine has.
 */
import { hostname } from "node:os"

export const ownerName = (id: string): string => `${hostname()}:${process.pid}:${id}`

/**
 * Whether an engine's process has ended, as far as can be told from here: it was one of this machine, and there is no
 * such process any more. `false` says nothing.
 */
export const isGone = (owner: string): boolean => {
  const [host, pid] = owner.split(":")
  if (host !== hostname() || pid === undefined || !/^[1-9]\d*$/.test(pid)) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH"
  }
}
