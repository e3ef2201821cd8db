"""The part of a spec that names personal data, which the decision log stores keyed."""

from features.cells import kind_of
from features.errors import SpecError
from features.spec.contract import Spec

_IDS = ("application_id", "customer_id")


def check_pii(spec: Spec) -> None:
    """Check that `pii` names ids and text attributes, each once: what feeds a feature must stay as it is for replay.

    Raises:
        SpecError: it names something else.

    """
    texts = [attribute.name for attribute in spec.attributes if not kind_of(attribute).has_feature]
    wrong = [name for name in spec.pii if name not in (*_IDS, *texts)]
    if wrong:
        raise SpecError(
            f"pii: {wrong[0]!r} cannot be stored keyed. Expected some of {', '.join((*_IDS, *texts))}: ids, and "
            'attributes of kind "text", of which no feature is made.'
        )
    if len(set(spec.pii)) != len(spec.pii):
        raise SpecError("pii: a name appears twice. Give each once.")
