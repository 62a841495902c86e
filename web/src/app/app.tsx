/** Which page an address shows, and who may see it. */
import { Redirect, Route, Switch, useLocation, useSearchParams } from 'wouter';
import { useStore } from '../lib/store';
import { CharacterPage } from '../pages/character';
import { EditCharacterPage, NewCharacterPage } from '../pages/character-form';
import { CharactersPage } from '../pages/characters';
import { ChatPage } from '../pages/chat';
import { ChatsPage } from '../pages/chats';
import { DeletedPage } from '../pages/deleted';
import { AdminPage, AuditPage, ComplaintsPage } from '../pages/complaints';
import { RosterPage } from '../pages/roster';
import { LoginPage, RegisterPage } from '../pages/door';
import { InvitePage } from '../pages/invite';
import { ConfirmPage, ForgotPage, ResetPage, UnsubscribePage } from '../pages/mail';
import { NotFoundPage } from '../pages/not-found';
import { SearchPage } from '../pages/search';
import { SettingsPage } from '../pages/settings';
import { Failure, Loading } from '../ui/notice';
import { openSession, session } from './session';
import { Shell } from './shell';
import { useWho, WhoContext } from './who';

export function App() {
  const now = useStore(session);
  switch (now.status) {
    case 'loading':
      return <Loading label="Opening aim" />;
    case 'unreachable':
      return <Failure error={now.error} onRetry={() => void openSession()} />;
    case 'out':
      return <SignedOut notice={now.notice} />;
    case 'in':
      return (
        <WhoContext value={now}>
          <SignedIn />
        </WhoContext>
      );
  }
}

function SignedOut({ notice }: { notice: string | undefined }) {
  const [path] = useLocation();
  const next = path === '/' ? '' : `?next=${encodeURIComponent(path)}`;
  return (
    <Switch>
      <Route path="/login">
        <LoginPage notice={notice} />
      </Route>
      <Route path="/register" component={RegisterPage} />
      <Route path="/forgot" component={ForgotPage} />
      <Route path="/reset" component={ResetPage} />
      <Route path="/confirm" component={ConfirmPage} />
      <Route path="/unsubscribe" component={UnsubscribePage} />
      <Route>
        <Redirect to={`/login${next}`} replace />
      </Route>
    </Switch>
  );
}

function SignedIn() {
  const isAdmin = useWho().user.role === 'admin';
  return (
    <Switch>
      <Route path="/login" component={GoOn} />
      <Route path="/register" component={GoOn} />
      <Route path="/forgot" component={GoOn} />
      <Route path="/reset" component={ResetPage} />
      <Route path="/confirm" component={ConfirmPage} />
      <Route path="/unsubscribe" component={UnsubscribePage} />
      <Route>
        <Shell>
          <Switch>
            <Route path="/" component={ChatsPage} />
            <Route path="/characters" component={CharactersPage} />
            <Route path="/characters/new" component={NewCharacterPage} />
            <Route path="/characters/:id">{({ id }) => <CharacterPage id={id} key={id} />}</Route>
            <Route path="/characters/:id/edit">{({ id }) => <EditCharacterPage id={id} key={id} />}</Route>
            <Route path="/c/:id">{({ id }) => <ChatPage id={id} key={id} />}</Route>
            <Route path="/invite/:token">{({ token }) => <InvitePage token={token} key={token} />}</Route>
            <Route path="/deleted" component={DeletedPage} />
            <Route path="/search" component={SearchPage} />
            <Route path="/settings" component={SettingsPage} />
            {isAdmin && <Route path="/admin" component={AdminPage} />}
            {isAdmin && <Route path="/admin/people" component={RosterPage} />}
            {isAdmin && <Route path="/admin/complaints" component={ComplaintsPage} />}
            {isAdmin && <Route path="/admin/audit" component={AuditPage} />}
            <Route component={NotFoundPage} />
          </Switch>
        </Shell>
      </Route>
    </Switch>
  );
}

/** After logging in: where one wanted to go, if that is a place of this page. */
function GoOn() {
  const [search] = useSearchParams();
  const next = search.get('next') ?? '/characters';
  return <Redirect to={/^\/(?![/\\])/.test(next) ? next : '/characters'} replace />;
}
