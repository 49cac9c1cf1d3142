// For `node --import`: a thread that the sources start is loaded from them. What vitest loads itself does not pass here.
import { register } from "node:module"

register("./sourcesHook.mjs", import.meta.url)
