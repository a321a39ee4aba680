/**
 * Who may do what: one table, one pure function, deny by default. Asked at the opening of each channel and again per
 * message, against the roster as it is at that moment; what is not in the table is nobody's right.
 *
 * 'yes' = every device of that role; 'grant' = only with a grant of the verb, for the object or for all; 'no' = never,
 * also with a grant. A grant reads `verb`, `verb:*` or `verb:object`. Rights to screen, input and commands are those of
 * the device; a live, visible consent on the machine that is acted upon comes on top and is not decided here.
 */
import type { DeviceId } from '../../base/ids.ts'
import type { RosterState } from './roster-state.ts'
import type { Role } from './statement.ts'

type Rule = 'yes' | 'grant' | 'no'
type Rules = Readonly<Record<Role, Rule>>

const rules = (full: Rule, limited: Rule, storage: Rule, guest: Rule): Rules => ({
  full,
  limited,
  storage,
  guest,
})

export const verbs = {
  //                      full   limited  storage  guest
  'roster.read': rules('yes', 'yes', 'yes', 'no'),
  'roster.manage': rules('yes', 'no', 'no', 'no'),
  'pair.host': rules('yes', 'no', 'no', 'no'),
  'mesh.key': rules('yes', 'yes', 'yes', 'no'),
  'audit.read': rules('yes', 'no', 'no', 'no'),
  'audit.witness': rules('yes', 'yes', 'yes', 'no'),
  'token.mint': rules('yes', 'no', 'no', 'no'),
  'peer.status': rules('yes', 'yes', 'yes', 'grant'),
  'relay.use': rules('yes', 'yes', 'yes', 'grant'),
  // A raw Yjs writer can erase anything, and filtering its updates is no boundary: full devices only, no grant
  'doc.read': rules('yes', 'grant', 'no', 'no'),
  'doc.write': rules('yes', 'no', 'no', 'no'),
  'space.read': rules('yes', 'grant', 'no', 'grant'),
  'space.write': rules('yes', 'grant', 'no', 'grant'),
  'blob.read': rules('yes', 'grant', 'no', 'grant'),
  // The key of a space opens what storage devices hold of it: nobody else ever gets it
  'space.key': rules('yes', 'no', 'no', 'no'),
  'storage.hold': rules('yes', 'no', 'yes', 'no'),
  'storage.use': rules('yes', 'no', 'no', 'no'),
  'clipboard.read': rules('yes', 'grant', 'no', 'grant'),
  'clipboard.write': rules('yes', 'grant', 'no', 'grant'),
  'memory.read': rules('yes', 'grant', 'no', 'grant'),
  'memory.write': rules('yes', 'grant', 'no', 'no'),
  'model.use': rules('yes', 'grant', 'no', 'grant'),
  'task.run': rules('yes', 'grant', 'no', 'no'),
  'command.run': rules('yes', 'grant', 'no', 'no'),
  'screen.view': rules('yes', 'grant', 'no', 'grant'),
  'input.inject': rules('yes', 'grant', 'no', 'grant'),
} as const satisfies Readonly<Record<string, Rules>>

export type Verb = keyof typeof verbs

/** What every device of a role may do, without a grant. */
export const rightsOf = (role: Role): readonly string[] =>
  Object.entries(verbs).flatMap(([verb, rule]) => (rule[role] === 'yes' ? [verb] : []))

export interface Decision {
  readonly allowed: boolean
  /** For the person and the audit log. */
  readonly reason: string
}

/** @param object what the verb is about, such as a space id; none for verbs about the whole device. */
export function may(state: RosterState, device: DeviceId | undefined, verb: Verb, object?: string): Decision {
  const known = device === undefined ? undefined : state.devices.get(device)
  if (known === undefined) return deny('not a device of this mesh')
  if (known.removed !== undefined) return deny('this device was removed from the mesh')
  if (known.key === undefined) return deny('the keys of this device contradict each other: pair it again')
  // A verb from outside the table has no rule, whatever the types say
  const rule = Object.hasOwn(verbs, verb) ? verbs[verb][known.role] : 'no'
  switch (rule) {
    case 'yes':
      return { allowed: true, reason: `role ${known.role}` }
    case 'grant':
      return known.grants.some((grant) => isGranted(grant, verb, object))
        ? { allowed: true, reason: `granted ${verb}` }
        : deny(`the role ${known.role} needs a grant for ${verb}`)
    case 'no':
      return deny(`the role ${known.role} may not ${verb}`)
  }
}

function isGranted(grant: string, verb: Verb, object: string | undefined): boolean {
  const colon = grant.indexOf(':')
  if (colon < 0) return grant === verb
  const about = grant.slice(colon + 1)
  return grant.slice(0, colon) === verb && (about === '*' || (object !== undefined && about === object))
}

const deny = (reason: string): Decision => ({ allowed: false, reason })
