/** Cases that failed once, cut short: run by every test run. What was wrong then stands beside each. */
import type { PlanCase } from './case.ts'

export const pastCases: readonly PlanCase[] = [
  // Moved there, edited and deleted here: the version that the move keeps alive has its bytes nowhere any more
  {
    peers: 3,
    common: [0],
    steps: [
      { kind: 'write', peer: 0, name: 0, text: 1 },
      { kind: 'pass', peer: 0 },
      { kind: 'rename', peer: 1, name: 0, to: 1 },
      { kind: 'delete', peer: 0, name: 0 },
    ],
  },
  // A ring of names between a conflict copy and its winner: what is set aside must come back
  {
    peers: 2,
    common: [0],
    steps: [
      { kind: 'link', peer: 1, name: 3 },
      { kind: 'pass', peer: 1 },
      { kind: 'rename', peer: 0, name: 0, to: 3 },
      { kind: 'pass', peer: 0 },
      { kind: 'write', peer: 0, name: 3, text: 1 },
    ],
  },
  {
    peers: 4,
    common: [1, 0],
    steps: [
      { kind: 'write', peer: 3, name: 0, text: 2 },
      { kind: 'rename', peer: 2, name: 0, to: 3 },
      { kind: 'rename', peer: 0, name: 1, to: 3 },
      { kind: 'pass', peer: 2 },
    ],
  },
  {
    peers: 4,
    common: [0, 1],
    steps: [
      { kind: 'rename', peer: 3, name: 1, to: 2 },
      { kind: 'write', peer: 0, name: 2, text: 0 },
      { kind: 'pass', peer: 3 },
      { kind: 'pass', peer: 0 },
      { kind: 'write', peer: 0, name: 1, text: 2 },
    ],
  },
  // The same bytes written again over what was deleted elsewhere are no news to anybody
  {
    peers: 3,
    common: [5],
    steps: [
      { kind: 'delete', peer: 1, name: 0 },
      { kind: 'rename', peer: 0, name: 0, to: 2 },
      { kind: 'delete', peer: 0, name: 2 },
      { kind: 'write', peer: 0, name: 0, text: 5 },
    ],
  },
  // Gone here and not sent, while others put something else at that very name: that is to come
  {
    peers: 2,
    common: [],
    steps: [
      { kind: 'link', peer: 1, name: 3 },
      { kind: 'pass', peer: 1 },
      { kind: 'rename', peer: 1, name: 3, to: 0 },
      { kind: 'role', peer: 1, isReadOnly: true },
      { kind: 'write', peer: 0, name: 3, text: 0 },
    ],
  },
]
