/**
 * An engine for tests: in memory, over a script, with its insides within reach.
 */
import * as Layer from "effect/Layer"
import type { Model } from "../../services/Model.js"
import type { Script } from "../../services/Script.js"
import type { SessionStore } from "../../services/SessionStore.js"
import * as Engine from "../Engine.js"
import type { Memory } from "../MemorySessionStore.js"
import * as ScriptedModel from "../ScriptedModel.js"
import { layer as layerRecorder, type Recorder } from "./Recorder.js"
import * as StoreJournal from "./StoreJournal.js"

/** What a test can get at. */
export type Services = Engine.Services | Model | SessionStore | Memory | StoreJournal.StoreJournal | Recorder

/** An engine over a script and a memory store, recorded and journaled from its first moment on. */
export const layer = (script: Script): Layer.Layer<Services> =>
  layerRecorder.pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(Layer.merge(StoreJournal.layer, ScriptedModel.layer(script)))
  )
