/**
 * Which checker checks which property of a space (P1 to P31) in the simulations, and when: 'always' at each moment, or with
 * each thing that a device does; 'at rest' whenever all has healed; 'after crash' before the device starts again. What cannot be
 * stated about whole simulated devices names the test that checks it on the real part.
 */
export interface PropertyCheck {
  readonly property: string
  /** Of the simulation of spaces, below `simulations/`, or a test. */
  readonly by: readonly string[]
  readonly when: 'always' | 'at rest' | 'after crash' | 'end' | 'test'
}

const spaces = 'simulations/spaces/checks'

export const propertyChecks: readonly PropertyCheck[] = [
  {
    property: 'P1 equal state after heal',
    by: [`${spaces}/pictures.ts`, `${spaces}/rest.ts`],
    when: 'at rest',
  },
  { property: 'P2 in sync by digest alone', by: [`${spaces}/rest.ts`], when: 'at rest' },
  { property: 'P3 any order and repetition', by: [`${spaces}/pictures.ts`], when: 'at rest' },
  { property: 'P4 no change is lost', by: [`${spaces}/contents.ts`], when: 'at rest' },
  {
    // Who forgot what it had told is told so: P6's tripwire, and no other device may know more of it than it does
    property: 'P5 told is kept',
    by: ['simulations/spaces/device.ts', 'test/crdt/store.test.ts'],
    when: 'always',
  },
  { property: 'P6 one content for a clock', by: ['simulations/spaces/device.ts'], when: 'always' },
  {
    property: 'P7 clones are told apart',
    by: [`${spaces}/identities.ts`, 'test/crdt/cloned-homes.test.ts'],
    when: 'always',
  },
  { property: 'P8 never seeded again', by: [`${spaces}/seeding.ts`], when: 'always' },
  { property: 'P9 bounded metadata', by: ['test/crdt/tree-properties.test.ts'], when: 'test' },
  {
    property: 'P10 invalid records put aside',
    by: [`${spaces}/garbage.ts`, 'test/crdt/record.test.ts', 'test/crdt/space.test.ts'],
    when: 'at rest',
  },
  { property: 'P11 winner and conflict copies', by: [`${spaces}/pictures.ts`], when: 'at rest' },
  {
    property: 'P12 only what is recorded gives way',
    by: [`${spaces}/rows.ts`, `${spaces}/contents.ts`],
    when: 'at rest',
  },
  { property: 'P13 edit beats delete', by: [`${spaces}/pictures.ts`], when: 'at rest' },
  {
    property: 'P14 what is left out stays',
    by: [`${spaces}/ignored.ts`, `${spaces}/contents.ts`],
    when: 'at rest',
  },
  { property: 'P15 an absent root deletes nothing', by: [`${spaces}/deletions.ts`], when: 'always' },
  { property: 'P16 delete brake', by: [`${spaces}/brake.ts`], when: 'always' },
  { property: 'P17 old or new bytes', by: [`${spaces}/contents.ts`], when: 'after crash' },
  {
    property: 'P18 no bad block spreads',
    by: [`${spaces}/contents.ts`, `${spaces}/damage.ts`],
    when: 'at rest',
  },
  {
    property: 'P19 no cycle, no orphan',
    by: [`${spaces}/rows.ts`, `${spaces}/pictures.ts`],
    when: 'at rest',
  },
  { property: 'P20 colliding names', by: [`${spaces}/pictures.ts`], when: 'at rest' },
  {
    property: 'P21 links are data',
    by: [`${spaces}/pictures.ts`, 'test/contract/filesystem.ts'],
    when: 'at rest',
  },
  {
    property: 'P22 no way out of the root',
    by: [`${spaces}/contained.ts`, 'test/files/names.test.ts'],
    when: 'always',
  },
  { property: 'P23 bits, link texts, empty directories', by: [`${spaces}/pictures.ts`], when: 'at rest' },
  {
    property: 'P24 staging and resumed transfers',
    by: [`${spaces}/rest.ts`, 'test/support/kill-soak.ts'],
    when: 'end',
  },
  { property: 'P25 nothing happens at rest', by: [`${spaces}/rest.ts`], when: 'end' },
  { property: 'P26 work ends', by: ['simulations/spaces.sim.ts'], when: 'always' },
  { property: 'P27 lost events are made up for', by: [`${spaces}/pictures.ts`], when: 'at rest' },
  { property: 'P28 rules of what is left out', by: [`${spaces}/ignored.ts`], when: 'always' },
  { property: 'P29 no wall clock decides', by: ['test/simulations/spaces.sim.test.ts'], when: 'end' },
  { property: 'P30 soon equal', by: ['simulations/spaces.sim.ts'], when: 'at rest' },
  {
    property: 'P31 no claim beyond the truth',
    by: [`${spaces}/claims.ts`, `${spaces}/rows.ts`, `${spaces}/parts.ts`],
    when: 'always',
  },
]
