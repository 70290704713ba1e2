//! Intents and cordons.

use super::*;
use crate::model::intent::{Cordon, Intent, State, Wanted};

fn intent(node: &str, state: State) -> Intent {
    let now = Timestamp::now();
    Intent {
        id: Uuid::now_v7(),
        wanted: Wanted::Drain {
            node: VmId::new(node),
        },
        state,
        execution: None,
        reasons: Vec::new(),
        by: "somebody".to_owned(),
        created_at: now,
        changed_at: now,
    }
}

#[test]
fn intents_and_cordons_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let (mut first, second) = (intent("vm1", State::Pending), intent("vm2", State::Pending));
    let cordon = Cordon {
        intent: first.id,
        by: "somebody".to_owned(),
        since: first.created_at,
    };
    let put = CordonChange::Put(VmId::new("vm1"), cordon.clone());
    journal.keep_intent(&first, Some(&put), &json!({})).unwrap();
    journal.keep_intent(&second, None, &json!({})).unwrap();
    first.state = State::Refused;
    first.reasons = vec!["no room".to_owned()];
    journal.keep_intent(&first, None, &json!({})).unwrap();
    drop(journal);
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.open_intents().unwrap(), std::slice::from_ref(&second));
    assert_eq!(journal.cordons().unwrap(), [(VmId::new("vm1"), cordon)].into());
    let history = journal.history();
    assert_eq!(history.intent(first.id).unwrap(), Some(first.clone()));
    assert_eq!(history.intent(Uuid::now_v7()).unwrap(), None);
    let page = |limit, before, state| {
        let page = IntentPage {
            before,
            state,
            ..IntentPage::newest(limit)
        };
        history.intents(&page).unwrap()
    };
    assert_eq!(page(1, None, None), Some((vec![second.clone()], true)));
    assert_eq!(page(9, Some(second.id), None), Some((vec![first.clone()], false)));
    assert_eq!(page(9, None, Some(State::Refused)), Some((vec![first], false)));
    assert_eq!(page(9, Some(Uuid::now_v7()), None), None);
    let since = |since| {
        let page = IntentPage {
            since: Some(since),
            ..IntentPage::newest(9)
        };
        history.intents(&page).unwrap().unwrap().0.len()
    };
    assert_eq!(
        (
            since(second.created_at),
            since(Timestamp::UNIX_EPOCH),
            since(Timestamp::MAX)
        ),
        (1, 2, 0)
    );
    let lift = CordonChange::Lift(VmId::new("vm1"));
    journal
        .keep_intent(&intent("vm1", State::Done), Some(&lift), &json!({}))
        .unwrap();
    assert!(journal.cordons().unwrap().is_empty());
}

#[test]
fn a_journal_of_version_4_gets_the_tables_of_intents() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let owner = journal.owner();
    journal
        .connection()
        .execute_batch("DROP TABLE intents; DROP TABLE cordons; PRAGMA user_version = 4;")
        .unwrap();
    drop(journal);
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.owner(), owner);
    assert_eq!(journal.open_intents().unwrap(), []);
    journal
        .keep_intent(&intent("vm1", State::Pending), None, &json!({}))
        .unwrap();
    assert_eq!(journal.open_intents().unwrap().len(), 1);
}

#[test]
fn a_journal_of_version_5_keeps_its_intents_and_cordons() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let kept = intent("vm1", State::Pending);
    journal.keep_intent(&kept, None, &json!({})).unwrap();
    journal
        .connection()
        .execute_batch("PRAGMA user_version = 5;")
        .unwrap();
    drop(journal);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.open_intents().unwrap(), [kept]);
}
