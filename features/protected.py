"""Attributes by which many laws forbid to decide on credit, and what stands for them, recognised by name or by values.

A help for the person who drafts a spec, no legal advice: a name that nobody has thought of is not recognised.
"""

from collections.abc import Collection, Iterator

from features.names import words
from features.spec.contract import Spec

__all__ = ["declared_protected"]

_STEMS = {  # what: the beginnings of words, without accents, in several languages
    "age": (
        *("birth", "birthdate", "birthday", "birthyear", "dob", "geburt", "naissance", "nacimiento", "nascimento"),
        *("nascita", "geboorte", "urodzeni", "fodels", "dogum", "brth", "bthdt", "brthdt", "gebdat"),
    ),
    "sex": ("gender", "gndr", "geschlecht", "geslacht", "cinsiyet"),
    "marital status": (
        "marital",
        "marstat",
        "marriage",
        "married",
        "divorce",
        "widow",
        "familienstand",
        "famstand",
        "famges",
        "mrtl",
        "martl",
        "matrimonial",
        "spouse",
    ),
    "nationality": (
        *(
            "nationalit",
            "nacionalidad",
            "nacionalidade",
            "nazionalita",
            "citizenship",
            "staatsang",
            "foreigner",
            "immigra",
        ),
        *(
            "gastarb",
            "auslander",
            "etranger",
            "extranjer",
            "estrangeir",
            "stranier",
            "obywatelstw",
            "narodowosc",
            "migrant",
        ),
    ),
    "religion": ("religi", "konfession", "godsdienst", "wyznani"),
    "race or ethnicity": ("ethnic", "ethnie", "etnia", "etnic", "racial", "tribe", "caste", "hautfarbe"),
    "disability": ("disab", "handicap", "behinder", "discapacidad", "deficien", "invalidit", "niepelnospraw"),
    "pregnancy": ("pregnan", "schwanger", "embaraz", "gravid", "maternity", "childbearing"),
    "language": ("mothertongue", "muttersprache"),
    "sexual orientation": ("sexualorientation",),
    "political opinion or union membership": ("politic", "unionmember", "tradeunion"),
}
_WORDS = {
    "age": {
        "age",
        "born",
        "bdate",
        "bday",
        "ageyrs",
        "ageyears",
        "agegrp",
        "agegroup",
        "ageband",
        "custage",
        "alter",
        "edad",
        "idade",
        "eta",
        "leeftijd",
        "wiek",
        "vek",
        "yas",
        "alder",
        "возраст",
        "年龄",
        "年齢",
    },
    "sex": {"sex", "sexcd", "sexcode", "sexe", "sexo", "sesso", "plec", "kon", "pohlavi", "пол", "性别", "性別"},
    "marital status": {"婚姻"},
    "nationality": {"国籍", "гражданство", "национальность"},
    "race or ethnicity": {"race", "races", "raza", "raca", "rasse", "rasa", "ethnos"},
    "language": {"language", "languages", "sprache", "langue", "idioma", "lingua", "taal"},
}
_PHRASES = {
    "marital status": (
        *("civil status", "civil state", "family status", "etat civil", "estado civil", "stato civile"),
        *("burgerlijke staat", "stan cywilny", "medeni"),
    ),
    "age": ("year of birth", "date of birth", "senior citizen"),
    "race or ethnicity": ("skin color", "skin colour"),
    "nationality": (
        *("country of origin", "foreign worker", "foreign born", "foreign national", "foreign resident", "citizen"),
        *("us citizen", "is citizen", "is foreign"),
    ),
    "political opinion or union membership": ("trade union", "union member", "party membership"),
}
_WHOLE = {  # columns that are called just so, as flags are
    "age": {"old", "isold", "young", "isyoung", "elderly", "senior", "issenior", "under25", "over65"},
    "sex": {"male", "female", "man", "woman", "ismale", "isfemale"},
    "marital status": {"single", "issingle", "unmarried"},
    "race or ethnicity": {
        *("black", "white", "asian", "afam", "africanamerican", "hispan", "hispanic", "latino", "latina", "caucasian"),
        *("nonwhite", "minority", "indigenous", "nativeamerican", "isblack", "iswhite"),
    },
}
_THINGS_WITH_AN_AGE = {
    *("account", "accounts", "acct", "asset", "building", "business", "car", "collateral", "company", "credit", "debt"),
    *(
        "acc",
        "accs",
        "cr",
        "cred",
        "product",
        "policy",
        "revol",
        "rev",
        "il",
        "instal",
        "installment",
        "card",
        "bureau",
    ),
    *("file", "firm", "history", "home", "house", "inquiry", "line", "lines", "loan", "loans", "mortgage", "property"),
    *("relationship", "trade", "trades", "tradeline", "vehicle", "tl", "oldest", "newest", "average", "avg"),
}
_VALUES = {
    "sex": {
        "male",
        "female",
        "m",
        "f",
        "man",
        "woman",
        "men",
        "women",
        "non binary",
        "mannlich",
        "weiblich",
        "homme",
        "femme",
        *(
            "mr",
            "mrs",
            "ms",
            "miss",
            "herr",
            "frau",
            "monsieur",
            "madame",
            "mme",
            "mlle",
            "senor",
            "senora",
            "sr",
            "sra",
        ),
    },
    "marital status": {
        *("single", "married", "divorced", "widowed", "separated", "widow", "civil marriage", "ledig", "verheiratet"),
        *("geschieden", "verwitwet", "divorced separated", "domestic partnership", "never married", "unmarried"),
    },
}
_UNDECIDED = {"other", "others", "unknown", "x", "na", "xna", "none", "not specified", "diverse"}
_FEWEST_LETTERS = 5


def protected(name: str, values: Collection[str] = ()) -> str | None:
    """Return what protected attribute a column is or stands for, by its name or by its cells; None: none is known."""
    return _by_name(words(name)) or _by_values(values)


def declared_protected(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a spec that are protected, and what each is or stands for."""
    for attribute in spec.attributes:
        what = protected(attribute.name, attribute.values)
        if what and attribute.kind != "text":
            yield attribute.name, what


def _by_name(found: tuple[str, ...]) -> str | None:
    said, joined = f" {' '.join(found)} ", "".join(found)
    for what, phrases in _PHRASES.items():
        if any(f" {phrase} " in said or phrase.replace(" ", "") == joined for phrase in phrases):
            return what
    for what, stems in _STEMS.items():
        if any(word.startswith(stem) for word in (*found, joined) for stem in stems):
            return what
        if any(stem in word for word in found for stem in stems if len(stem) > _FEWEST_LETTERS):
            return what
    for what, names in _WHOLE.items():
        if joined in names:
            return what
    for what, known in _WORDS.items():
        if known & set(found) and not (what == "age" and _THINGS_WITH_AN_AGE & set(found)):
            return what
    return None


def _by_values(values: Collection[str]) -> str | None:
    said = {" ".join(words(value)) for value in values} - _UNDECIDED - {""}
    for what, known in _VALUES.items():
        if len(said) > 1 and said <= known:
            return what
    split = {part for value in said for part in value.split()}
    return "sex" if said and {"male", "female"} <= split else None
