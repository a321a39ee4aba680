/**
 * The two stops that stand between an accident and a space that is empty on every device, as pure functions:
 * a root that is not the one we know deletes nothing, and many deletions at once wait for the person.
 */

export type RootState = 'first-use' | 'good' | 'missing' | 'foreign'

export interface RootFacts {
  /** The random id kept in the index, undefined when this folder was never synced here. */
  readonly recordedMarker: string | undefined
  /** The id in `.skein/marker` on the disk, undefined when there is none. */
  readonly foundMarker: string | undefined
  readonly isDirectory: boolean
}

/**
 * Whether the root is the folder that the index describes. An unmounted disk, an empty mount point, a restored or
 * re-created directory has no marker or another one: making one by hand does not help, the id is random.
 */
export function judgeRoot(facts: RootFacts): RootState {
  if (!facts.isDirectory) return 'missing'
  if (facts.recordedMarker === undefined) return 'first-use'
  if (facts.foundMarker === undefined) return 'missing'
  return facts.foundMarker === facts.recordedMarker ? 'good' : 'foreign'
}

export interface BrakeOptions {
  /** Fewer deletions than this never brake. */
  readonly minCount: number
  /** Share of all entries. */
  readonly maxShare: number
  readonly windowMs: number
}

export const defaultBrake: BrakeOptions = { minCount: 25, maxShare: 0.2, windowMs: 60_000 }

export interface Deletion {
  readonly atMs: number
  readonly count: number
}

export interface BrakeState {
  readonly recent: readonly Deletion[]
}

/**
 * Asks for `count` more deletions while `total` entries (those included) are recorded.
 * @returns allowed, and the state to go on with; when not allowed the state is unchanged.
 */
export function askBrake(
  state: BrakeState,
  request: { readonly count: number; readonly total: number; readonly nowMs: number },
  options: BrakeOptions = defaultBrake,
): { readonly allowed: boolean; readonly state: BrakeState } {
  const recent = state.recent.filter((deletion) => request.nowMs - deletion.atMs < options.windowMs)
  const before = recent.reduce((sum, deletion) => sum + deletion.count, 0)
  // What was deleted within the window belonged to the folder when it began: the share is of that
  const limit = Math.max(options.minCount, Math.floor((request.total + before) * options.maxShare))
  if (before + request.count > limit) return { allowed: false, state }
  return { allowed: true, state: { recent: [...recent, { atMs: request.nowMs, count: request.count }] } }
}
