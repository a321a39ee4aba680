/** What a round has decided to do on the disk at one place. */
import type { Action } from './plan.ts'
import type { Seen } from './scan.ts'

export interface DiskTask {
  readonly seen: Seen
  readonly action: Extract<
    Action,
    { kind: 'materialise' | 'replace' | 'move' | 'trash' | 'release' | 'overrule' }
  >
}
