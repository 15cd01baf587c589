"""What a LaTeX document begins with in each style; the tables and figures are the same in all."""

from __future__ import annotations

from dataclasses import dataclass

_COMMON = r"""\usepackage{array}
\usepackage{booktabs}
\usepackage{graphicx}
"""
_FONTS = r"""\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
"""
_PLAIN = r"""\documentclass[twocolumn]{article}
"""
_PLAIN_FONTS = r"""\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[margin=2cm]{geometry}
\setlength{\abovecaptionskip}{4pt}
\setlength{\belowcaptionskip}{4pt}
"""
_IEEE = r"""% Debian has this class in texlive-publishers.
\documentclass[conference]{IEEEtran}
"""
_ACM = r"""% Debian has this class in texlive-publishers, and what it needs in texlive-latex-extra.
\documentclass[sigconf,nonacm]{acmart}
\settopmatter{printacmref=false}
\title{Tables and figures}
\AtBeginDocument{\twocolumn} % the class does that in \maketitle
"""


@dataclass(frozen=True, slots=True)
class Style:
    """The begin of a document; `described` has words for those who do not see in its figures."""

    preamble: str
    described: bool = False


STYLES = {
    "plain": Style(_PLAIN + _FONTS + _PLAIN_FONTS + _COMMON),
    "ieee": Style(_IEEE + _FONTS + _COMMON),
    "acm": Style(_ACM + _COMMON, described=True),
}
