/** Former versions of one file, what happened to it, and bringing one back. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { History, SpaceStatus, VersionList } from '../../peer/api-spaces.ts'
import { formatSize } from '../../base/quantities.ts'
import { commandLine, formatTime } from './format.ts'
import { Action, Card, Said } from './parts.tsx'
import { call, get } from './session.ts'

export function FileHistory({ spaces }: { readonly spaces: readonly SpaceStatus[] }): JSX.Element | null {
  const here = spaces.flatMap((space) => space.directory ?? [])
  const [path, setPath] = useState('')
  const [versions, setVersions] = useState<VersionList>()
  const [history, setHistory] = useState<History>()
  const [first] = here
  if (first === undefined) return null
  const whole = path.startsWith('/') || path === '' ? path : `${first}/${path}`
  const load = async (): Promise<void> => {
    setVersions(await get<VersionList>('/versions', { path: whole }))
    setHistory(await get<History>('/history', { path: whole }))
  }
  return (
    <Card title="Former versions">
      <label>
        A file, also one that is gone
        <input
          value={path}
          placeholder={`${first}/todo.txt`}
          spellcheck={false}
          onInput={(event) => setPath(event.currentTarget.value)}
        />
      </label>
      <Action
        label="Show"
        cli={commandLine('versions', whole === '' ? 'PATH' : whole)}
        isDisabled={path === ''}
        run={load}
      />
      {versions?.versions.length === 0 && (
        <p class="quiet">
          No former contents are kept here or on a device in reach. They are, for {versions.caps.days} days,
          as soon as it is replaced or deleted.
        </p>
      )}
      <ul class="list">
        {versions?.versions.map((version) => (
          <li key={version.id} class="item">
            <p>
              {formatTime(version.keptAtMs)}: {version.cause}, {formatSize(version.sizeBytes)}
              {version.device !== undefined && (
                <>
                  , by <Said text={version.device} />
                </>
              )}
              {version.keptOn !== undefined && (
                <>
                  , on <Said text={version.keptOn} />
                </>
              )}
            </p>
            <Action
              isQuiet
              label="Restore"
              cli={commandLine('restore', whole, '--version', version.id)}
              run={() => call('POST', '/restore', { path: whole, version: version.id }).then(load)}
            />
          </li>
        ))}
      </ul>
      {history !== undefined && history.steps.length > 0 && <Steps history={history} />}
    </Card>
  )
}

const Steps = ({ history }: { readonly history: History }): JSX.Element => (
  <>
    <h3>What happened</h3>
    <ol class="list">
      {history.steps.map((step, index) => (
        <li key={index}>
          {step.atMs === undefined ? 'some time' : formatTime(step.atMs)}: {step.kind}
          {step.device !== undefined && (
            <>
              {' '}
              by <Said text={step.device} />
            </>
          )}
        </li>
      ))}
    </ol>
  </>
)
