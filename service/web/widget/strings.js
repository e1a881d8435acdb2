/**
 * The words of the element in each language, in the order of NAMES. `{n}` is a number, `{q}` the query. No plural forms:
 * "Results: 3" reads right in all of them.
 */
const NAMES =
  "search placeholder results clear close recents forget more why meaning words fused reranked exact retry none offline unreachable token limit failed degraded filters";

/** @type {Record<string, string>} */
const TEXTS = {
  en: "Search|Search the docs|Results: {n}|Clear|Close|Recent searches|Clear recent searches|More results|Why these results?|meaning|words|together|reranked|named by the query|Try again|Nothing found for “{q}”|You are offline|The search cannot be reached|The search refused this page's key|Too many searches. Going on in {n} s|The search failed|Part of the search failed|Filters",
  zh: "搜索|搜索文档|结果：{n}|清除|关闭|最近的搜索|清除最近的搜索|更多结果|为什么是这些结果？|语义|词语|合并|重排|与查询同名|重试|没有找到“{q}”|您已离线|无法连接搜索|搜索拒绝了本页的密钥|搜索过多，{n} 秒后继续|搜索失败|部分搜索失败|筛选",
  ja: "検索|ドキュメントを検索|結果：{n}|消去|閉じる|最近の検索|最近の検索を消去|さらに表示|この結果の理由|意味|単語|統合|再順位付け|検索語と同名|再試行|「{q}」は見つかりません|オフラインです|検索に接続できません|このページのキーは拒否されました|検索が多すぎます。{n} 秒後に続けます|検索に失敗しました|検索の一部が失敗しました|絞り込み",
  ko: "검색|문서 검색|결과: {n}|지우기|닫기|최근 검색|최근 검색 지우기|결과 더 보기|왜 이 결과인가요?|의미|단어|결합|재정렬|검색어와 같은 이름|다시 시도|“{q}” 검색 결과 없음|오프라인입니다|검색에 연결할 수 없습니다|이 페이지의 키가 거부되었습니다|검색이 너무 많습니다. {n}초 후 계속|검색에 실패했습니다|검색 일부가 실패했습니다|필터",
  es: "Buscar|Buscar en la documentación|Resultados: {n}|Borrar|Cerrar|Búsquedas recientes|Borrar búsquedas recientes|Más resultados|¿Por qué estos resultados?|significado|palabras|juntos|reordenado|nombrado en la consulta|Reintentar|Sin resultados para «{q}»|Sin conexión|No se puede acceder a la búsqueda|La búsqueda rechazó la clave de esta página|Demasiadas búsquedas. Sigue en {n} s|La búsqueda falló|Falló parte de la búsqueda|Filtros",
  pt: "Pesquisar|Pesquisar na documentação|Resultados: {n}|Limpar|Fechar|Pesquisas recentes|Limpar pesquisas recentes|Mais resultados|Por que estes resultados?|significado|palavras|juntos|reordenado|nomeado na consulta|Tentar de novo|Sem resultados para “{q}”|Sem conexão|A pesquisa está inacessível|A pesquisa recusou a chave desta página|Pesquisas demais. Continua em {n} s|A pesquisa falhou|Parte da pesquisa falhou|Filtros",
  fr: "Rechercher|Rechercher dans la documentation|Résultats : {n}|Effacer|Fermer|Recherches récentes|Effacer les recherches récentes|Plus de résultats|Pourquoi ces résultats ?|sens|mots|ensemble|reclassé|nommé par la requête|Réessayer|Aucun résultat pour « {q} »|Hors connexion|La recherche est injoignable|La recherche a refusé la clé de cette page|Trop de recherches. Reprise dans {n} s|La recherche a échoué|Une partie de la recherche a échoué|Filtres",
  de: "Suchen|Dokumentation durchsuchen|Treffer: {n}|Leeren|Schließen|Letzte Suchen|Letzte Suchen löschen|Mehr Treffer|Warum diese Treffer?|Bedeutung|Wörter|zusammen|neu geordnet|von der Anfrage genannt|Erneut versuchen|Nichts gefunden für „{q}“|Sie sind offline|Die Suche ist nicht erreichbar|Die Suche hat den Schlüssel dieser Seite abgelehnt|Zu viele Suchen. Weiter in {n} s|Die Suche ist fehlgeschlagen|Ein Teil der Suche ist ausgefallen|Filter",
  it: "Cerca|Cerca nella documentazione|Risultati: {n}|Cancella|Chiudi|Ricerche recenti|Cancella le ricerche recenti|Altri risultati|Perché questi risultati?|significato|parole|insieme|riordinato|nominato nella ricerca|Riprova|Nessun risultato per “{q}”|Sei offline|La ricerca non è raggiungibile|La ricerca ha rifiutato la chiave di questa pagina|Troppe ricerche. Si riprende tra {n} s|La ricerca non è riuscita|Parte della ricerca non è riuscita|Filtri",
  ru: "Поиск|Поиск по документации|Результаты: {n}|Очистить|Закрыть|Недавние запросы|Удалить недавние запросы|Ещё результаты|Почему эти результаты?|смысл|слова|вместе|переупорядочено|названо в запросе|Повторить|По запросу «{q}» ничего не найдено|Нет сети|Поиск недоступен|Поиск отклонил ключ этой страницы|Слишком много запросов. Продолжение через {n} с|Ошибка поиска|Часть поиска не сработала|Фильтры",
  ar: "بحث|ابحث في الوثائق|النتائج: {n}|مسح|إغلاق|عمليات البحث الأخيرة|مسح عمليات البحث الأخيرة|مزيد من النتائج|لماذا هذه النتائج؟|المعنى|الكلمات|معًا|أعيد ترتيبه|يسمّيه الاستعلام|أعد المحاولة|لا نتائج لـ «{q}»|أنت غير متصل|يتعذر الوصول إلى البحث|رفض البحث مفتاح هذه الصفحة|عمليات بحث كثيرة. المتابعة بعد {n} ث|فشل البحث|فشل جزء من البحث|عوامل التصفية",
  hi: "खोजें|दस्तावेज़ों में खोजें|परिणाम: {n}|मिटाएँ|बंद करें|हाल की खोजें|हाल की खोजें मिटाएँ|और परिणाम|ये परिणाम क्यों?|अर्थ|शब्द|संयुक्त|पुनः क्रमित|खोज में नाम है|फिर कोशिश करें|“{q}” के लिए कुछ नहीं मिला|आप ऑफ़लाइन हैं|खोज तक पहुँच नहीं|खोज ने इस पृष्ठ की कुंजी अस्वीकार की|बहुत अधिक खोजें। {n} से. में जारी|खोज विफल रही|खोज का एक भाग विफल रहा|फ़िल्टर",
};

/** @param {string} lang a language tag: "pt-BR" @returns {string} the language of the words: "pt" */
export function languageOf(lang) {
  const base = lang.toLowerCase().split("-")[0];
  return Object.hasOwn(TEXTS, base) ? base : "en";
}

/**
 * A function from the name of a text to the text.
 *
 * @param {string} language as `languageOf` says
 */
export function texts(language) {
  const values = TEXTS[language].split("|");
  const all = new Map(NAMES.split(" ").map((name, at) => [name, values[at]]));
  return (/** @type {string} */ name, /** @type {Record<string, unknown>} */ given = {}) =>
    (all.get(name) ?? name).replace(/\{(\w)\}/gu, (_, key) => String(given[key]));
}
