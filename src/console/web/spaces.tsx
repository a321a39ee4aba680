/** Spaces: what is shared, how far it is, what waits and why; sharing, joining, conflicts, former versions, ignore rules. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { SpaceStatus } from '../../peer/api-spaces.ts'
import { Conflicts } from './conflicts.tsx'
import { FileHistory } from './file-history.tsx'
import { formatSize, formatSpan } from '../../base/quantities.ts'
import { commandLine } from './format.ts'
import { IgnoreRules } from './ignore-rules.tsx'
import type { Mood } from './parts.tsx'
import { Action, Badge, Card, Empty, Said } from './parts.tsx'
import { call } from './session.ts'
import { PartActions, PartNotes } from './space-part.tsx'
import type { PageState } from './store.ts'

const moods: Readonly<Record<SpaceStatus['state'], Mood>> = {
  'in-sync': 'good',
  syncing: 'busy',
  paused: 'off',
  waiting: 'busy',
  error: 'bad',
  'not-joined': 'off',
}

export function Spaces({ page }: { readonly page: PageState }): JSX.Element {
  const spaces = page.status?.spaces ?? []
  const conflictCount = spaces.reduce((sum, space) => sum + space.conflictCount, 0)
  return (
    <>
      <Card title="Shared folders">
        {spaces.length === 0 && (
          <Empty title="Nothing is shared yet">
            <p>
              Share a directory of this device below. Every device of the mesh sees its name and can join it.
            </p>
          </Empty>
        )}
        <ul class="cards wide">
          {spaces.map((space) => (
            <SpaceCard key={space.id} space={space} />
          ))}
        </ul>
        <Share />
      </Card>
      <Conflicts count={conflictCount} />
      <FileHistory spaces={spaces} />
    </>
  )
}

function SpaceCard({ space }: { readonly space: SpaceStatus }): JSX.Element {
  const isHere = space.directory !== undefined
  return (
    <li class="item" data-space={space.name}>
      <h3>
        <Said text={space.name} /> <Badge mood={moods[space.state]} word={space.state.replace('-', ' ')} />
      </h3>
      {isHere && (
        <p class="quiet">
          <Said text={space.directory} />: {space.fileCount} {space.fileCount === 1 ? 'file' : 'files'},{' '}
          {formatSize(space.sizeBytes)}
        </p>
      )}
      <Progress space={space} />
      {space.reason !== undefined && (
        <p>
          <strong>Why:</strong> <Said text={space.reason} />
        </p>
      )}
      {isHere && <PartNotes space={space} />}
      <Problems space={space} />
      {isHere ? <HereActions space={space} /> : <Join space={space} />}
    </li>
  )
}

function Progress({ space }: { readonly space: SpaceStatus }): JSX.Element | null {
  const { transfer } = space
  if (transfer === undefined)
    return space.pendingCount === 0 ? null : <p>{space.pendingCount} entries wait.</p>
  return (
    <div>
      <progress max={Math.max(1, transfer.totalBytes)} value={transfer.doneBytes} aria-label="Progress" />
      <p class="quiet">
        {transfer.doneFiles} of {transfer.totalFiles} files, {formatSize(transfer.doneBytes)} of{' '}
        {formatSize(transfer.totalBytes)}, {formatSize(transfer.bytesPerSecond)}/s
        {transfer.remainingMs !== undefined && `, done in ${formatSpan(transfer.remainingMs)}`}
      </p>
    </div>
  )
}

function Problems({ space }: { readonly space: SpaceStatus }): JSX.Element | null {
  const held = space.heldDeletionCount ?? 0
  const problems = space.problems ?? []
  if (held === 0 && problems.length === 0) return null
  return (
    <div class="ask">
      {held > 0 && (
        <>
          <p>▲ {held} deletions are held back: so many at once may be a mistake.</p>
          <Action
            label="Bring the files back"
            cli={commandLine('deletions', space.name, '--undo')}
            run={() => call('POST', `/spaces/${space.id}/deletions`, { verdict: 'undo' })}
          />
          <Action
            label="Delete everywhere"
            isDanger
            confirm={`Delete ${held} files on every device?`}
            cli={commandLine('deletions', space.name, '--allow')}
            run={() => call('POST', `/spaces/${space.id}/deletions`, { verdict: 'allow' })}
          />
        </>
      )}
      {problems.length > 0 && (
        <>
          <p>▲ {space.problemCount ?? problems.length} files wait:</p>
          <ul>
            {problems.map((problem) => (
              <li key={problem.path}>
                <Said text={problem.path} />: <Said text={problem.cause} />. Fix: <Said text={problem.fix} />
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  )
}

function HereActions({ space }: { readonly space: SpaceStatus }): JSX.Element {
  const isPaused = space.state === 'paused'
  return (
    <details>
      <summary>Pause, receive only, select, ignore rules, stop holding</summary>
      <Action
        label={isPaused ? 'Go on' : 'Pause'}
        cli={commandLine(isPaused ? 'resume' : 'pause', space.name)}
        run={() => call('POST', isPaused ? '/resume' : '/pause', { space: space.id })}
      />
      <PartActions space={space} />
      <IgnoreRules space={space} />
      <Action
        label="Hold it here no longer"
        isDanger
        confirm="Stop syncing this folder on this device? The files stay where they are."
        cli={commandLine('unshare', space.name)}
        run={() => call('DELETE', `/spaces/${space.id}`)}
      />
    </details>
  )
}

function Join({ space }: { readonly space: SpaceStatus }): JSX.Element {
  const [directory, setDirectory] = useState('')
  return (
    <>
      <label>
        Keep it here in
        <input
          value={directory}
          placeholder="/home/me/notes"
          spellcheck={false}
          onInput={(event) => setDirectory(event.currentTarget.value)}
        />
      </label>
      <Action
        label="Join"
        cli={commandLine('join', space.name, directory === '' ? 'DIR' : directory)}
        isDisabled={directory === ''}
        run={() => call('POST', `/spaces/${space.id}/join`, { directory })}
      />
    </>
  )
}

function Share(): JSX.Element {
  const [directory, setDirectory] = useState('')
  const [name, setName] = useState('')
  return (
    <details>
      <summary>Share a directory of this device</summary>
      <label>
        Directory
        <input
          value={directory}
          placeholder="/home/me/notes"
          spellcheck={false}
          onInput={(event) => setDirectory(event.currentTarget.value)}
        />
      </label>
      <label>
        Name (the directory's own when empty)
        <input value={name} maxLength={64} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <Action
        label="Share"
        cli={commandLine(
          'share',
          directory === '' ? 'DIR' : directory,
          ...(name === '' ? [] : ['--name', name]),
        )}
        isDisabled={directory === ''}
        run={() => call('POST', '/spaces', { directory, ...(name !== '' && { name }) })}
      />
    </details>
  )
}
