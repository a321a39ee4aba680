/** The house rules hold for this tree, and the check that says so can fail: each rule is shown a planted fault. */
import { describe, expect, test } from 'vitest'
import { readSourceFiles } from '../scripts/source-files.ts'
import { checkTidy, type SourceFile } from '../scripts/tidy-check.ts'
import { findImports } from '../scripts/tidy-imports.ts'

const root = new URL('..', import.meta.url).pathname

function source(path: string, body: string): SourceFile {
  return { path, text: `/** What it is. */\n${body}\n` }
}

/** @returns `rule` of each fault in the given files. */
function rulesOf(...files: readonly SourceFile[]): readonly string[] {
  return checkTidy(files).map((fault) => fault.rule)
}

function importing(path: string, specifier: string): readonly string[] {
  return rulesOf(source(path, `import { x } from '${specifier}'\nexport const y = x`))
}

describe('this tree', () => {
  test('is tidy', () => {
    const files = readSourceFiles(root)
    expect(files.map((file) => file.path)).toContain('test/tidy.test.ts')
    expect(files.length).toBeGreaterThan(10)
    expect(checkTidy(files)).toEqual([])
  })
})

describe('imports', () => {
  test('are found in every form', () => {
    const text = [
      "import one from 'one'",
      "import type { Two } from 'two'",
      'import {',
      '  three,',
      "} from 'three'",
      "import * as four from 'four'",
      "import './five.ts'",
      "export { six } from 'six'",
      "export * from 'seven'",
      "export type { Eight } from 'eight'",
      "const nine = await import('nine')",
      "const ten = require('ten')",
      "type Eleven = import('eleven').Eleven",
      "export const name = 'not an import'",
      "import type from 'twelve'",
    ].join('\n')
    const found = findImports(text)
    const named = new Map(found.map((entry) => [entry.specifier, entry.isTypeOnly]))
    expect([...named.keys()].toSorted()).toEqual(
      [
        'one',
        'two',
        'three',
        'four',
        './five.ts',
        'six',
        'seven',
        'eight',
        'nine',
        'ten',
        'eleven',
        'twelve',
      ].toSorted(),
    )
    expect(found.find((entry) => entry.specifier === 'three')?.line).toBe(3)
    expect(named.get('two')).toBe(true)
    expect(named.get('eight')).toBe(true)
    expect(named.get('one')).toBe(false)
    expect(named.get('nine')).toBe(false)
    expect(named.get('twelve')).toBe(false)
  })
})

describe('layers', () => {
  test.each([
    ['src/base/clock.ts', '../crdt/doc.ts'],
    ['src/base/clock.ts', 'node:fs'],
    ['src/crdt/doc.ts', '../blobs/store.ts'],
    ['src/blobs/store.ts', '../crdt/doc.ts'],
    ['src/files/plan.ts', '../memory/note.ts'],
    ['src/files/plan.ts', '../transport/node.ts'],
    ['src/memory/note.ts', '../blobs/store.ts'],
    ['src/discovery/mdns.ts', '../transport/node.ts'],
    ['src/transport/node.ts', '../discovery/mdns.ts'],
    ['src/media/screen.ts', '../crdt/doc.ts'],
    ['src/accel/route.ts', '../media/screen.ts'],
    ['src/peer/peer.ts', '../cli/main.ts'],
    ['src/peer/peer.ts', '../console/gateway.ts'],
    ['src/cli/up.ts', '../peer/peer.ts'],
    ['src/cli/up.ts', '../files/plan.ts'],
    ['src/cli/up.ts', '../console/gateway.ts'],
    ['src/console/gateway.ts', '../peer/peer.ts'],
    ['src/console/gateway.ts', '../crdt/doc.ts'],
    ['src/console/web/main.ts', 'node:fs'],
    ['src/base/clock.ts', '../../test/support/netns.ts'],
    ['src/unknown/thing.ts', '../base/clock.ts'],
    ['src/base/clock.ts', './other'],
    ['src/base/clock.ts', './other.js'],
  ])('%s may not import %s', (path, specifier) => {
    expect(importing(path, specifier)).toEqual(['layer'])
  })

  test.each([
    ['src/base/clock.ts', './other.ts'],
    ['src/files/plan.ts', '../crdt/doc.ts'],
    ['src/files/plan.ts', '../blobs/store.ts'],
    ['src/files/plan.ts', 'node:fs'],
    ['src/memory/note.ts', '../crdt/doc.ts'],
    ['src/peer/peer.ts', '../media/screen.ts'],
    ['src/peer/daemon.ts', '../console/gateway.ts'],
    ['src/cli/up.ts', '../peer/api.ts'],
    ['src/console/gateway.ts', '../peer/api.ts'],
    ['src/console/web/main.ts', '../../crdt/doc.ts'],
    ['test/files/plan.test.ts', '../../src/files/plan.ts'],
  ])('%s may import %s', (path, specifier) => {
    expect(importing(path, specifier)).toEqual([])
  })

  test('hold for type imports too', () => {
    const file = source('src/cli/up.ts', "import type { Peer } from '../peer/peer.ts'\nexport type Up = Peer")
    expect(rulesOf(file)).toEqual(['layer'])
  })
})

describe('doors', () => {
  test.each([
    ['src/files/plan.ts', 'yjs'],
    ['src/peer/peer.ts', 'y-protocols/sync'],
    ['src/files/plan.ts', 'level'],
    ['src/peer/peer.ts', 'libp2p'],
    ['src/peer/peer.ts', '@libp2p/tcp'],
    ['src/discovery/mdns.ts', '@libp2p/tcp'],
    ['src/discovery/mdns.ts', '@libp2p/interface'],
    ['src/transport/node.ts', '@libp2p/mdns'],
    ['src/peer/peer.ts', '@libp2p/crypto'],
    ['src/media/screen.ts', 'werift'],
    ['src/peer/peer.ts', 'commander'],
    ['src/cli/up.ts', 'jose'],
    ['src/base/hash.ts', '@noble/hashes/sha2.js'],
    ['src/accel/route.ts', 'prom-client'],
    ['src/peer/peer.ts', '@napi-rs/blake-hash'],
    ['src/peer/peer.ts', 'lean-qr'],
    ['src/crdt/doc.ts', 'cbor-x'],
    ['src/base/clock.ts', 'left-pad'],
    ['src/files/plan.ts', 'fs'],
  ])('%s may not import %s', (path, specifier) => {
    expect(importing(path, specifier)).toEqual(['door'])
  })

  test.each([
    ['src/crdt/doc.ts', 'yjs'],
    ['src/crdt/sync.ts', 'y-protocols/sync'],
    ['src/blobs/store.ts', 'level'],
    ['src/transport/node.ts', '@chainsafe/libp2p-noise'],
    ['src/transport/node.ts', '@libp2p/interface'],
    ['src/discovery/mdns.ts', '@libp2p/mdns'],
    ['src/peer/auth.ts', '@libp2p/crypto/keys'],
    ['src/peer/auth/invite.ts', '@libp2p/peer-id'],
    ['src/peer/auth-invite.ts', '@libp2p/peer-id'],
    ['src/files/hash.ts', '@napi-rs/blake-hash'],
    ['src/base/codec.ts', 'cbor-x'],
    ['src/media/screen.ts', 'uint8arrays/concat'],
  ])('%s may import %s', (path, specifier) => {
    expect(importing(path, specifier)).toEqual([])
  })

  test('lets discovery use the types of libp2p', () => {
    const file = source(
      'src/discovery/mdns.ts',
      "import type { PeerId } from '@libp2p/interface'\nexport type Id = PeerId",
    )
    expect(rulesOf(file)).toEqual([])
  })
})

describe('files', () => {
  test('form no cycles', () => {
    const faults = checkTidy([
      source('src/base/a.ts', "import { b } from './b.ts'\nexport const a = b"),
      source('src/base/b.ts', "import type { C } from './c.ts'\nexport const b: C = 1"),
      source('src/base/c.ts', "import { a } from './a.ts'\nexport type C = typeof a"),
      source('src/base/d.ts', "import { a } from './a.ts'\nexport const d = a"),
    ])
    expect(faults.map(({ rule, message }) => [rule, message])).toEqual([
      ['cycle', 'src/base/a.ts -> src/base/b.ts -> src/base/c.ts -> src/base/a.ts'],
    ])
  })

  test.each([
    ['a barrel by name', 'barrel', source('src/base/index.ts', 'export const a = 1')],
    [
      'a barrel by content',
      'barrel',
      source('src/base/all.ts', "export * from './a.ts'\nexport { b } from './b.ts'"),
    ],
    ['a name of a kind', 'name', source('src/base/utils.ts', 'export const a = 1')],
    ['a folder of a kind', 'name', source('src/base/helpers/sort.ts', 'export const a = 1')],
    ['types.ts', 'name', source('src/base/types.ts', 'export const a = 1')],
    ['a name in camel case', 'name', source('src/base/fileStore.ts', 'export const a = 1')],
    ['a default export', 'default', source('src/base/a.ts', 'export default 1')],
    ['an alias to default', 'default', source('scripts/a.ts', 'const a = 1\nexport { a as default }')],
    ['no comment at the top', 'comment', { path: 'src/base/a.ts', text: 'export const a = 1\n' }],
    ['a hidden clock', 'clock', source('src/base/a.ts', 'export const a = new Date()')],
    ['hidden chance', 'clock', source('src/base/a.ts', 'export const a = globalThis.crypto.randomUUID()')],
    [
      'a rule switched off without a reason',
      'disable',
      source('src/base/a.ts', '// oxlint-disable-next-line no-var\nvar a'),
    ],
    ['more than 400 lines', 'size', source('test/a.test.ts', 'void 0\n'.repeat(400))],
  ])('may not be %s', (_name, rule, file) => {
    expect(rulesOf(file)).toEqual([rule])
  })

  test('may switch a rule off with the reason on that line or the one above', () => {
    const off = '// oxlint-disable-next-line no-var'
    expect(rulesOf(source('src/base/a.ts', `${off} -- because: a global is made here\nvar a`))).toEqual([])
    expect(rulesOf(source('src/base/a.ts', `// because: a global is made here\n${off}\nvar a`))).toEqual([])
  })

  test('may use the real clock where the process begins, and dates that are given', () => {
    expect(rulesOf(source('src/base/system-clock.ts', 'export const a = new Date()'))).toEqual([])
    expect(rulesOf(source('src/cli/up.ts', 'export const a = new Date()'))).toEqual([])
    expect(rulesOf(source('src/base/a.ts', 'export const a = new Date(5)'))).toEqual([])
  })

  test('may have 400 lines', () => {
    expect(rulesOf(source('src/base/a.ts', `${'void 0\n'.repeat(398)}void 0`))).toEqual([])
  })
})
