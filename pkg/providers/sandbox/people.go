package sandbox

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A Person is an invented customer. Names are common family and given names
// put together at random; e-mail addresses end in .example or .test, which
// never resolve; phone numbers have 0000 where a subscriber's digits stand.
type Person struct {
	Number    int
	Family    string // 山田
	Given     string // 花子
	Reading   string // ヤマダ ハナコ; empty for Chinese names
	Email     string
	Phone     string // domestic form
	Country   string // JP, TW, HK
	Timezone  string // IANA
	Address   string
	Birthday  string // 2006-01-02
	Female    bool
	CreatedAt time.Time
}

// Name returns the full name in the order and spacing of its language.
func (p Person) Name() string {
	if p.Country == "JP" {
		return p.Family + " " + p.Given
	}
	return p.Family + p.Given
}

type word struct{ text, reading, roman string }

var (
	japaneseFamilies = []word{
		{"佐藤", "サトウ", "sato"}, {"鈴木", "スズキ", "suzuki"}, {"高橋", "タカハシ", "takahashi"}, {"田中", "タナカ", "tanaka"},
		{"渡邊", "ワタナベ", "watanabe"}, {"伊藤", "イトウ", "ito"}, {"山本", "ヤマモト", "yamamoto"}, {"中村", "ナカムラ", "nakamura"},
		{"小林", "コバヤシ", "kobayashi"}, {"加藤", "カトウ", "kato"}, {"𠮷田", "ヨシダ", "yoshida"}, {"齋藤", "サイトウ", "saito"},
	}
	japaneseGivens = []word{
		{"花子", "ハナコ", "hanako"}, {"陽菜", "ヒナ", "hina"}, {"結衣", "ユイ", "yui"}, {"美咲", "ミサキ", "misaki"}, {"さくら", "サクラ", "sakura"},
		{"太郎", "タロウ", "taro"}, {"大翔", "ヒロト", "hiroto"}, {"蓮", "レン", "ren"}, {"健一", "ケンイチ", "kenichi"}, {"翔太", "ショウタ", "shota"},
	}
	chineseFamilies = []word{
		{"陳", "", "chen"}, {"林", "", "lin"}, {"黃", "", "huang"}, {"張", "", "chang"}, {"李", "", "lee"},
		{"王", "", "wang"}, {"吳", "", "wu"}, {"劉", "", "liu"}, {"蔡", "", "tsai"}, {"楊", "", "yang"},
	}
	chineseGivens = []word{
		{"淑芬", "", "shufen"}, {"美玲", "", "meiling"}, {"雅婷", "", "yating"}, {"詩涵", "", "shihhan"}, {"怡君", "", "yichun"},
		{"志明", "", "chihming"}, {"俊傑", "", "chunchieh"}, {"建宏", "", "chienhung"}, {"家豪", "", "chiahao"}, {"小明", "", "hsiaoming"},
	}
	places = map[string][]string{
		"JP": {"東京都千代田区見本町1-2-3", "大阪府大阪市北区例示4丁目5番6号", "北海道札幌市中央区架空条7丁目", "福岡県福岡市中央区仮名8-9"},
		"TW": {"臺北市信義區範例路一段1號", "高雄市前鎮區示範街22號3樓", "臺中市西屯區樣本大道三段4號"},
		"HK": {"香港九龍旺角示例街10號", "香港新界沙田樣本道5號A座"},
	}
	zones = map[string]string{"JP": "Asia/Tokyo", "TW": "Asia/Taipei", "HK": "Asia/Hong_Kong"}
)

// Epoch is when the invented shops opened; records are dated from it on.
var Epoch = time.Date(2025, 4, 1, 0, 0, 0, 0, time.UTC)

// NewPerson invents person number n of a seed: the same pair gives the same
// person, whatever was asked for before. Countries are drawn from those given.
func NewPerson(seed uint64, n int, countries ...string) Person {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	p := Person{Number: n, Country: countries[r.IntN(len(countries))]}
	families, givens := chineseFamilies, chineseGivens
	if p.Country == "JP" {
		families, givens = japaneseFamilies, japaneseGivens
	}
	family, index := families[r.IntN(len(families))], r.IntN(len(givens))
	given := givens[index]
	p.Family, p.Given, p.Female = family.text, given.text, index < len(givens)/2
	if family.reading != "" {
		p.Reading = family.reading + " " + given.reading
	}
	p.Email = fmt.Sprintf("%s.%s.%d@mail.example", given.roman, family.roman, n)
	p.Timezone, p.Address = zones[p.Country], places[p.Country][r.IntN(len(places[p.Country]))]
	switch p.Country {
	case "JP":
		p.Phone = fmt.Sprintf("0%d0-0000-%04d", 7+r.IntN(3), n%10000)
	case "TW":
		p.Phone = fmt.Sprintf("0900-000-%03d", n%1000)
	default:
		p.Phone = fmt.Sprintf("0000 %04d", n%10000)
	}
	p.Birthday = time.Date(1950+r.IntN(56), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	p.CreatedAt = Epoch.Add(time.Duration(n)*7*time.Minute + time.Duration(r.IntN(400))*time.Second)
	return p
}
