/** What part of a space this device takes: receiving only, selected paths, and what stays unsent because of it. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { SpaceStatus } from '../../peer/api-spaces.ts'
import { commandLine } from './format.ts'
import { Action, Said } from './parts.tsx'
import { call } from './session.ts'

/** What differs from taking full part; nothing where nothing does. */
export function PartNotes({ space }: { readonly space: SpaceStatus }): JSX.Element | null {
  const { role, selection, unreleasedCount = 0, localChangeCount = 0, localChanges = [] } = space
  if (role !== 'read-only' && selection === undefined && localChangeCount === 0) return null
  return (
    <div class="part">
      {role === 'read-only' && <p>Read-only here: it receives, and nothing is sent.</p>}
      {selection !== undefined && (
        <p>
          Kept here: {selection.only.length === 0 ? 'everything' : <Patterns patterns={selection.only} />}
          {selection.except.length > 0 && (
            <>
              {' '}
              except <Patterns patterns={selection.except} />
            </>
          )}
        </p>
      )}
      {unreleasedCount > 0 && (
        <p>{unreleasedCount} files are not selected, and stay until another device holds them.</p>
      )}
      {localChangeCount > 0 && (
        <div class="ask">
          <p>▲ Changed here, not sent: {localChangeCount} files.</p>
          <ul>
            {localChanges.map(({ path, change, isDirectory }) => (
              <li key={path}>
                {change} <Said text={isDirectory ? `${path}/` : path} />
              </li>
            ))}
          </ul>
          {localChangeCount > localChanges.length && (
            <p class="quiet">and {localChangeCount - localChanges.length} more</p>
          )}
          <Action
            label="Take them all back"
            isDanger
            confirm="Put everything as the other devices have it? What was made here goes to versions."
            cli={commandLine('revert', space.name)}
            run={() => call('POST', `/spaces/${space.id}/revert`, {})}
          />
        </div>
      )}
    </div>
  )
}

function Patterns({ patterns }: { readonly patterns: readonly string[] }): JSX.Element {
  return (
    <>
      {patterns.map((pattern, index) => (
        <code key={pattern}>
          {index > 0 && ' '}
          <Said text={pattern} />
        </code>
      ))}
    </>
  )
}

export function PartActions({ space }: { readonly space: SpaceStatus }): JSX.Element {
  const isReadOnly = space.role === 'read-only'
  return (
    <>
      <Action
        label={isReadOnly ? 'Take full part' : 'Receive only'}
        cli={commandLine('role', space.name, isReadOnly ? '--full' : '--read-only')}
        {...(isReadOnly && {
          confirm: 'Send from now on, also what was changed here meanwhile?',
        })}
        run={() => call('PATCH', `/spaces/${space.id}`, { role: isReadOnly ? 'full' : 'read-only' })}
      />
      <Choice space={space} />
    </>
  )
}

const patternsOf = (text: string): readonly string[] => text.split(/\s+/).filter((one) => one !== '')

function Choice({ space }: { readonly space: SpaceStatus }): JSX.Element {
  const [only, setOnly] = useState((space.selection?.only ?? []).join(' '))
  const [except, setExcept] = useState((space.selection?.except ?? []).join(' '))
  const wanted = { only: patternsOf(only), except: patternsOf(except) }
  const isAll = wanted.only.length + wanted.except.length === 0
  const words = [
    ...(wanted.only.length === 0 ? [] : ['--only', ...wanted.only]),
    ...(wanted.except.length === 0 ? [] : ['--except', ...wanted.except]),
  ]
  return (
    <>
      <label>
        Keep only (patterns as in .gitignore; empty: everything)
        <input
          value={only}
          placeholder="/2026/ /albums/"
          spellcheck={false}
          onInput={(event) => setOnly(event.currentTarget.value)}
        />
      </label>
      <label>
        Except
        <input
          value={except}
          placeholder="*.raw"
          spellcheck={false}
          onInput={(event) => setExcept(event.currentTarget.value)}
        />
      </label>
      <Action
        label={isAll ? 'Keep everything' : 'Keep this'}
        cli={commandLine('select', space.name, ...(isAll ? ['--all'] : words))}
        run={() => call('POST', `/spaces/${space.id}/selection`, wanted)}
      />
    </>
  )
}
