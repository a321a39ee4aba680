/** How a device of the further family (parts-history.ts) takes part in the space from the start. */
import type { PartRules } from '../../src/files/folder-part.ts'

export interface DevicePart {
  readonly rules: PartRules
  /** The mesh gave it the right to read alone: the others refuse what it writes. */
  readonly isGranted: boolean
}

/** For a person. */
export function describePart({ rules, isGranted }: DevicePart): string {
  const { only, except } = rules.selection
  return [
    rules.isReadOnly ? (isGranted ? 'may only read' : 'only receives') : '',
    only.length > 0 ? `keeps only ${only.join(' ')}` : '',
    except.length > 0 ? `leaves out ${except.join(' ')}` : '',
  ]
    .filter((one) => one !== '')
    .join(', ')
}
