/**
 * Ending everything that a command has started.
 *
 * A command's shell leads a process group and a session of its own. Programs such as `timeout` put their children into
 * further groups, which a signal to the first one does not reach; on Linux they are found by their session.
 */
import * as fs from "node:fs"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/**
 * Sends SIGTERM to all that is left of a command, SIGKILL to what is still there after `grace` milliseconds, and ends
 * when nothing is left. What SIGKILL cannot end within 2 seconds (a process of another user, or one stuck in the
 * kernel) is given up. A process that made itself a session of its own (`setsid`) is out of reach.
 *
 * Processes live in real time, so this holds by the machine's clock whatever clock the program runs on.
 */
export const endGroup = (leader: number, grace: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (yield* send(leader, "SIGTERM", grace)) return
    yield* send(leader, "SIGKILL", 2_000)
  }).pipe(Effect.withClock(Clock.make()))

/** Signals all that is left, again and again as it may be forking, until nothing is left or the time is over. */
const send = Effect.fnUntraced(function* (leader: number, signal: NodeJS.Signals, patience: number) {
  let told: ReadonlySet<number> = new Set()
  for (let waited = 0, pause = 1; ; waited += pause, pause = Math.min(2 * pause, 25)) {
    const left = members(leader)
    if (left.length === 0) return true
    if (waited >= patience) return false
    for (const id of left) if (signal === "SIGKILL" || !told.has(id)) kill(id, signal)
    told = new Set(left)
    yield* Effect.sleep(pause)
  }
})

/** What to signal: the group as a negative id while it has members, and the living members of the session outside it. */
const members = (leader: number): ReadonlyArray<number> => {
  const found = sessionMembers(leader)
  if (found === undefined) return kill(-leader, 0) ? [-leader] : []
  const others = found.filter((one) => one.group !== leader).map((one) => one.pid)
  return others.length < found.length ? [-leader, ...others] : others
}

/**
 * The living processes of the leader's group or session, by /proc; `undefined` where there is none. A zombie is not
 * counted: in a container without an init nobody may ever collect it.
 */
const sessionMembers = (
  leader: number
): ReadonlyArray<{ readonly pid: number; readonly group: number }> | undefined => {
  let pids: ReadonlyArray<number>
  try {
    // Ids are given out in rising order, so descendants stand above the leader unless the numbers began anew.
    const newest = Number(fs.readFileSync("/proc/loadavg", "latin1").trim().split(" ")[4])
    const from = newest >= leader ? leader : 0
    pids = fs
      .readdirSync("/proc")
      .map(Number)
      .filter((pid) => pid >= from && pid > 0)
  } catch {
    return undefined
  }
  const found: Array<{ readonly pid: number; readonly group: number }> = []
  for (const pid of pids) {
    const [state, , group, session] = statOf(pid)
    if (state === "Z" || state === "X" || state === undefined) continue
    if (Number(group) === leader || Number(session) === leader) found.push({ pid, group: Number(group) })
  }
  return found
}

/** State, parent, group and session of a process, by proc(5); nothing where it is gone. */
const statOf = (pid: number): ReadonlyArray<string> => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
    // The command's name stands in parentheses and may itself hold any character.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ", 4)
  } catch {
    return []
  }
}

/** Whether there was somebody to signal. */
const kill = (id: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    process.kill(id, signal)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"
  }
}
