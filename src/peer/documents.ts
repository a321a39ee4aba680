/** The documents of this device: store, document host, and sync with every member that may see them. */
import { join } from 'node:path'
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import type { DeviceId } from '../base/ids.ts'
import type { Scope } from '../base/scope.ts'
import type { DocHost } from '../crdt/doc-host.ts'
import { createDocHost } from '../crdt/doc-host.ts'
import { createFileWitness } from '../crdt/file-witness.ts'
import { openLevelDatabase } from '../crdt/level-database.ts'
import { openStore } from '../crdt/store.ts'
import { syncProtocol } from '../crdt/sync-frames.ts'
import type { Sync } from '../crdt/sync.ts'
import { createSync } from '../crdt/sync.ts'
import { readBootId } from '../program/boot-id.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'
import { mayReadDocument } from './document-access.ts'
import type { EventBus } from './event-bus.ts'
import { keepChannels } from './keep-channels.ts'
import type { Mesh } from './mesh.ts'
import { createRefusalNotes } from './refusals.ts'
import { plainDevices } from './storage-devices.ts'
import type { Trust } from './trust.ts'

export interface DocumentParts {
  /** Existing directory of this store. */
  readonly directory: string
  readonly roster: Roster
  readonly mesh: Mesh
  readonly self: DeviceId
  readonly bus: EventBus
  readonly note: Trust['note']
}

export interface Documents {
  readonly host: DocHost
  readonly sync: Sync
}

/** @throws `store.failed`, `store.corrupt`. */
export async function openDocuments(outer: Env, scope: Scope, parts: DocumentParts): Promise<Documents> {
  const env = withLogScope(outer, 'documents')
  const { directory, roster, mesh, bus } = parts
  const store = scope.own(
    await openStore(env, {
      open: () => openLevelDatabase(join(directory, 'level')),
      witness: createFileWitness(join(directory, 'witness')),
      boot: await readBootId(),
    }),
  )
  scope.own(
    store.on('failed', ({ error }) =>
      bus.publish('store.problem', { code: error.code, message: error.message }),
    ),
  )
  scope.own(
    store.on('corrupt', ({ key }) =>
      bus.publish('store.problem', {
        code: 'store.corrupt',
        message: `row ${key} was damaged and set aside`,
      }),
    ),
  )
  scope.own(
    store.on('forked', ({ document }) =>
      bus.publish('store.problem', {
        code: 'store.corrupt',
        message: `another copy of this store writes too (${document}); this one took a new identity`,
      }),
    ),
  )
  const host = scope.own(await createDocHost(env, store))
  const sync = scope.own(createSync(env, host))
  const noteRefusal = createRefusalNotes(env, parts.note)
  scope.own(
    sync.on('refused', ({ peer, document = '', error }) => {
      const { code, message: reason } = error
      env.log.warn('a peer sent what was refused', { deviceId: peer, document, code, reason })
      if (code === 'auth.denied') noteRefusal(peer, document)
    }),
  )
  scope.own(roster.events.on('roster.changed', () => sync.compare()))
  keepChannels(env, scope, {
    mesh,
    self: parts.self,
    protocol: syncProtocol,
    lane: 'control',
    wanted: plainDevices(roster),
    attach: (deviceId, channel) =>
      sync.connect(deviceId, channel, {
        // Asked for each message, so that a changed roster counts at once
        // Both ways alike, or they would never agree on what they have in common
        visible: (document) =>
          mayReadDocument(roster.state, deviceId, document) &&
          mayReadDocument(roster.state, parts.self, document),
        mayWrite: (document) => may(roster.state, deviceId, 'doc.write', document).allowed,
      }),
  })
  return { host, sync }
}
