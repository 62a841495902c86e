import { Link } from 'wouter';
import { Empty } from '../ui/notice';
import { Page } from '../ui/page';

export function NotFoundPage() {
  return (
    <Page title="Not found" width="narrow">
      <Empty icon="search" title="There is nothing at this address">
        <Link href="/characters" className="button">
          See the characters
        </Link>
      </Empty>
    </Page>
  );
}
